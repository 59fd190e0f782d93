-- From which day to which an issue had a status at the end of the day. Closed issues end with the day of their closing.
select
    transitions.issue_id,
    transitions.project_id,
    transitions.sequence,
    transitions.to_status_id as status_id,
    transitions.to_status as status,
    {{ backlog.local_date('transitions.entered_at') }} as first_day,
    case
        when transitions.to_status_id = 4 and (
            transitions.left_at is null or {{ backlog.local_date('transitions.left_at') }} > {{ backlog.local_date('transitions.entered_at') }}
        ) then {{ backlog.local_date('transitions.entered_at') }}
        when transitions.left_at is null then null
        else {{ backlog.days_later(backlog.local_date('transitions.left_at'), -1) }}
    end as last_day
from {{ ref('status_transitions') }} as transitions
