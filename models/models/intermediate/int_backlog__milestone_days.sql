-- A milestone at the end of each day, from its start to its due date or the last day known: its issues, estimates and
-- statuses of then. Only the days on which something begins or ends are counted, and added up: an issue that stays in a
-- milestone for a year is not a row per day.
with members as (
    select members.*, as_of.as_of_day
    from {{ ref('int_backlog__milestone_members') }} as members
    cross join {{ ref('stg_backlog__as_of') }} as as_of
),

spans as (
    select
        milestones.milestone_id,
        milestones.milestone,
        milestones.project_id,
        milestones.start_date,
        milestones.release_due_date,
        members.as_of_day,
        coalesce(milestones.start_date, min(members.first_day)) as first_day,
        greatest(coalesce(milestones.release_due_date, members.as_of_day), members.as_of_day) as last_day
    from {{ ref('stg_backlog__versions') }} as milestones
    inner join members on members.milestone_id = milestones.milestone_id
    group by 1, 2, 3, 4, 5, 6
),

{#- The fields at the ends of days. #}
{%- for name, field, column in [('statuses', 'status', 'value_id'), ('estimates', 'estimatedHours', 'value_number')] %}
{{ name }} as (
    select
        issue_id,
        {{ column }} as value,
        {{ backlog.local_date('valid_from') }} as first_day,
        {{ backlog.local_date('valid_to') }} as end_day
    from {{ ref('issue_field_history') }}
    where field_key = '{{ field }}'
        and issue_id in (select issue_id from members)
        and (valid_to is null or {{ backlog.local_date('valid_to') }} > {{ backlog.local_date('valid_from') }})
),
{%- endfor %}

-- From which day on, and to before which one, an issue was in a milestone with one status and one estimate.
pieces as (
    select
        members.milestone_id,
        greatest(members.first_day, statuses.first_day, estimates.first_day) as first_day,
        {#- `least` gives null in some databases and not in others. #}
        least(
            coalesce({{ backlog.days_later('members.last_day', 1) }}, cast('9999-12-31' as date)),
            coalesce(statuses.end_day, cast('9999-12-31' as date)),
            coalesce(estimates.end_day, cast('9999-12-31' as date))
        ) as end_day,
        case when statuses.value = '4' then 1 else 0 end as done,
        cast(coalesce(estimates.value, 0) as {{ backlog.type_exact() }}) as hours
    from members
    inner join statuses on statuses.issue_id = members.issue_id
    inner join estimates
        on estimates.issue_id = members.issue_id
        and estimates.first_day < coalesce(statuses.end_day, cast('9999-12-31' as date))
        and statuses.first_day < coalesce(estimates.end_day, cast('9999-12-31' as date))
),

-- What was before the first day shown counts on it.
steps as (
    select pieces.milestone_id, greatest(pieces.first_day, spans.first_day) as day, 1 as step, pieces.done, pieces.hours
    from pieces
    inner join spans on spans.milestone_id = pieces.milestone_id
    where pieces.first_day < pieces.end_day
    union all
    select pieces.milestone_id, greatest(pieces.end_day, spans.first_day), -1, pieces.done, pieces.hours
    from pieces
    inner join spans on spans.milestone_id = pieces.milestone_id
    where pieces.first_day < pieces.end_day
),

changed as (
    select
        milestone_id,
        day,
        sum(step) as scope_issues,
        sum(step * done) as done_issues,
        sum(step * hours) as scope_hours,
        sum(step * done * hours) as done_hours
    from steps
    group by milestone_id, day
),

daily as (
    select
        spans.*,
        days.day,
        {%- for column in ('scope_issues', 'done_issues', 'scope_hours', 'done_hours') %}
        sum(coalesce(changed.{{ column }}, 0)) over (
            partition by spans.milestone_id order by days.day rows between unbounded preceding and current row
        ) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    from spans
    inner join {{ ref('int_backlog__days') }} as days on days.day between spans.first_day and spans.last_day
    left join changed on changed.milestone_id = spans.milestone_id and changed.day = days.day
)

select
    daily.milestone_id,
    daily.milestone,
    daily.project_id,
    daily.start_date,
    daily.release_due_date,
    daily.day,
    daily.day <= daily.as_of_day as is_known,
    -- After the last day that is known there is only the plan.
    {%- for column in ('scope_issues', 'done_issues') %}
    case when daily.day <= daily.as_of_day then daily.{{ column }} end as {{ column }},
    {%- endfor %}
    {%- for column in ('scope_hours', 'done_hours') %}
    case when daily.day <= daily.as_of_day then {{ backlog.exact('daily.' ~ column) }} end as {{ column }},
    {%- endfor %}
    latest.scope_issues as latest_scope_issues,
    {{ backlog.exact('latest.scope_hours') }} as latest_scope_hours
from daily
left join daily as latest on latest.milestone_id = daily.milestone_id and latest.day = latest.as_of_day
