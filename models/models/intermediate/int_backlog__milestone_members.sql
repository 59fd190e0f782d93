-- From which day to which an issue was in a milestone at the end of the day.
select
    history.issue_id,
    milestones.milestone_id,
    {{ backlog.local_date('history.valid_from') }} as first_day,
    {{ backlog.days_later(backlog.local_date('history.valid_to'), -1) }} as last_day
from {{ ref('issue_field_history') }} as history
inner join {{ ref('stg_backlog__versions') }} as milestones
    on {{ backlog.position_of("', ' || cast(milestones.milestone_id as " ~ dbt.type_string() ~ ") || ', '", "', ' || history.value_id || ', '") }} > 0
where history.field_key = 'milestone'
    and history.value_id is not null
    and (history.valid_to is null or {{ backlog.local_date('history.valid_to') }} > {{ backlog.local_date('history.valid_from') }})
