-- What was done of the scope at the end of each day, for the days that are known.
select
    milestone_id,
    milestone,
    project_id,
    day,
    scope_issues,
    done_issues,
    scope_hours,
    done_hours
from {{ ref('int_backlog__milestone_days') }}
where is_known
