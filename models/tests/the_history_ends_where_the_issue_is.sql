select history.issue_id
from {{ ref('issue_field_history') }} as history
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = history.issue_id
where history.field_key = 'status'
    and history.valid_to is null
    and history.value_id <> cast(issues.status_id as {{ dbt.type_string() }})
