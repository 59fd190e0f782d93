select issue_id
from {{ ref('issue_field_history') }}
where custom_field_id is null
group by issue_id
having count(distinct field_key) <> {{ backlog.fields() | length }}
