with milestones as (
    select
        issue_id,
        min(case when to_status_id <> 1 then entered_at end) as started_at,
        max(case when to_status_id = 4 then entered_at end) as last_closed_at,
        sum(case when to_status_id = 4 then 1 else 0 end) as times_closed
    from {{ ref('issue_status_transitions') }}
    group by issue_id
),

closed as (
    select
        issues.issue_id,
        issues.issue_key,
        issues.project_id,
        issues.issue_type,
        issues.priority,
        issues.assignee_id,
        issues.assignee_name,
        issues.created_at,
        milestones.started_at,
        case when issues.status_id = 4 then milestones.last_closed_at end as closed_at,
        milestones.times_closed,
        milestones.times_closed - case when issues.status_id = 4 then 1 else 0 end as times_reopened
    from {{ ref('stg_issues') }} as issues
    inner join milestones on milestones.issue_id = issues.issue_id
)

select
    *,
    {{ hours_between('created_at', 'closed_at') }} as lead_hours,
    {{ hours_between('started_at', 'closed_at') }} as cycle_hours
from closed
