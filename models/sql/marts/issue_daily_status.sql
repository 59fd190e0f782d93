-- What an issue was at the end of a day is the last status that it entered by then.
with entries as (
    select
        *,
        {{ local_date('entered_at') }} as first_day,
        {{ local_date('left_at') }} as last_day
    from {{ ref('issue_status_transitions') }}
)

select
    days.day,
    entries.issue_id,
    entries.issue_key,
    entries.project_id,
    entries.to_status as status,
    entries.to_status_id as status_id
from entries
cross join {{ ref('stg_as_of') }} as as_of
inner join {{ ref('stg_days') }} as days
    on days.day >= entries.first_day
    and days.day <= as_of.as_of
    and (entries.last_day is null or days.day < entries.last_day)
