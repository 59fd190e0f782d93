-- A milestone at the end of each day, from its start to its due date or the last day known: its issues, estimates and
-- statuses of then.
with members as (
    select members.*, coalesce(members.last_day, as_of.as_of_day) as until_day
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
        as_of.as_of_day,
        coalesce(milestones.start_date, min(members.first_day)) as first_day,
        greatest(coalesce(milestones.release_due_date, as_of.as_of_day), as_of.as_of_day) as last_day
    from {{ ref('stg_backlog__versions') }} as milestones
    inner join members on members.milestone_id = milestones.milestone_id
    cross join {{ ref('stg_backlog__as_of') }} as as_of
    group by 1, 2, 3, 4, 5, 6
),

{#- The fields at the ends of days. #}
{%- for name, field, column in [('statuses', 'status', 'value_id'), ('estimates', 'estimatedHours', 'value_number')] %}
{{ name }} as (
    select
        issue_id,
        {{ column }} as value,
        {{ backlog.local_date('valid_from') }} as first_day,
        {{ backlog.days_later(backlog.local_date('valid_to'), -1) }} as last_day
    from {{ ref('issue_field_history') }}
    where field_key = '{{ field }}'
        and issue_id in (select issue_id from members)
        and (valid_to is null or {{ backlog.local_date('valid_to') }} > {{ backlog.local_date('valid_from') }})
),
{%- endfor %}

issue_days as (
    select members.milestone_id, members.issue_id, days.day
    from members
    inner join spans on spans.milestone_id = members.milestone_id
    inner join {{ ref('int_backlog__days') }} as days
        on days.day between members.first_day and members.until_day
        and days.day between spans.first_day and spans.last_day
),

counted as (
    select
        issue_days.milestone_id,
        issue_days.day,
        count(*) as scope_issues,
        sum(case when statuses.value = '4' then 1 else 0 end) as done_issues,
        {{ backlog.exact_sum('coalesce(estimates.value, 0)') }} as scope_hours,
        {{ backlog.exact_sum("case when statuses.value = '4' then coalesce(estimates.value, 0) else 0 end") }} as done_hours
    from issue_days
    left join statuses
        on statuses.issue_id = issue_days.issue_id
        and issue_days.day >= statuses.first_day
        and (statuses.last_day is null or issue_days.day <= statuses.last_day)
    left join estimates
        on estimates.issue_id = issue_days.issue_id
        and issue_days.day >= estimates.first_day
        and (estimates.last_day is null or issue_days.day <= estimates.last_day)
    group by issue_days.milestone_id, issue_days.day
)

select
    spans.milestone_id,
    spans.milestone,
    spans.project_id,
    spans.start_date,
    spans.release_due_date,
    days.day,
    days.day <= spans.as_of_day as is_known,
    -- After the last day that is known there is only the plan.
    {%- for column in ('scope_issues', 'done_issues', 'scope_hours', 'done_hours') %}
    case when days.day <= spans.as_of_day then coalesce(counted.{{ column }}, 0) end as {{ column }},
    {%- endfor %}
    latest.scope_issues as latest_scope_issues,
    latest.scope_hours as latest_scope_hours
from spans
inner join {{ ref('int_backlog__days') }} as days on days.day between spans.first_day and spans.last_day
left join counted on counted.milestone_id = spans.milestone_id and counted.day = days.day
left join counted as latest on latest.milestone_id = spans.milestone_id and latest.day = spans.as_of_day
