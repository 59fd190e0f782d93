-- How long each issue took, and how often it came back.
with transitions as (
    select
        *,
        case when to_status_id = 4 then 1 else 0 end as enters_closed,
        case when from_status_id = 4 and (to_status_id <> 4 or to_status_id is null) then 1 else 0 end as leaves_closed
    from {{ ref('status_transitions') }}
),

per_issue as (
    select
        issue_id,
        -- Status 1 is where an issue waits for somebody to begin.
        min(case when to_status_id <> 1 or to_status_id is null then entered_at end) as started_at,
        max(case when enters_closed = 1 and (from_status_id <> 4 or from_status_id is null) then entered_at end) as last_closed_at,
        sum(case when enters_closed = 1 and (from_status_id <> 4 or from_status_id is null) then 1 else 0 end) as times_closed,
        sum(leaves_closed) as times_reopened,
        {%- for status, name in [(1, 'open'), (2, 'in_progress'), (3, 'resolved')] %}
        {{ backlog.exact_sum('case when to_status_id = ' ~ status ~ ' then ' ~ backlog.hours_between('entered_at', 'coalesce(left_at, as_of.as_of)') ~ ' else 0 end') }} as hours_{{ name }},
        {%- endfor %}
        {{ backlog.exact_sum('case when to_status_id not in (1, 2, 3, 4) or to_status_id is null then '
            ~ backlog.hours_between('entered_at', 'coalesce(left_at, as_of.as_of)') ~ ' else 0 end') }} as hours_in_other_statuses
    from transitions
    cross join {{ ref('stg_backlog__as_of') }} as as_of
    group by issue_id
),

closed as (
    select
        issues.issue_id,
        issues.issue_key,
        issues.project_id,
        issues.issue_type_id,
        issues.issue_type,
        issues.priority_id,
        issues.priority,
        issues.assignee_id,
        issues.assignee,
        issues.created_at,
        per_issue.started_at,
        case when issues.status_id = 4 then per_issue.last_closed_at end as closed_at,
        per_issue.times_closed,
        per_issue.times_reopened,
        per_issue.hours_open,
        per_issue.hours_in_progress,
        per_issue.hours_resolved,
        per_issue.hours_in_other_statuses
    from {{ ref('issue_enhanced') }} as issues
    inner join per_issue on per_issue.issue_id = issues.issue_id
)

select
    *,
    {{ backlog.hours_between('created_at', 'closed_at') }} as lead_hours,
    -- An issue that was closed without a start, or was started again since, has none.
    case when started_at <= closed_at then {{ backlog.hours_between('started_at', 'closed_at') }} end as cycle_hours
from closed
