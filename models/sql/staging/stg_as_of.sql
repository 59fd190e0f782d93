-- The last day that the tables know of: nothing after it can be said.
select max(day) as as_of
from (
    select {{ local_date('max(created)') }} as day from {{ source('backlog', 'activities') }}
    union all
    select {{ local_date('max(updated)') }} as day from {{ source('backlog', 'issues') }}
) as days
