-- The last moment that the tables know of: nothing after it can be said.
select
    max(moment) as as_of,
    {{ backlog.local_date('max(moment)') }} as as_of_day
from (
    select max(happened_at) as moment from {{ ref('stg_backlog__activities') }}
    union all
    select max(updated_at) as moment from {{ ref('stg_backlog__issues') }}
    union all
    select max(changed_at) as moment from {{ ref('stg_backlog__issue_changelogs') }}
    union all
    select max(deleted_at) as moment from {{ ref('stg_backlog__deletions') }}
) as moments
