-- The history ends where the issue is. A status that was renamed keeps its old name in the history.
select transitions.issue_id
from {{ ref('issue_status_transitions') }} as transitions
inner join {{ ref('stg_issues') }} as issues on issues.issue_id = transitions.issue_id
where transitions.left_at is null
    and transitions.to_status_id is not null
    and transitions.to_status <> issues.status_name
