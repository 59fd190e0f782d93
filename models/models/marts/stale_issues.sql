-- Open issues in which nothing has happened for a while (`backlog_stale_days`).
select
    issues.issue_id,
    issues.issue_key,
    issues.project_id,
    issues.project_key,
    issues.summary,
    issues.status_id,
    issues.status,
    issues.assignee_id,
    issues.assignee,
    issues.due_date,
    issues.last_activity_at,
    {{ backlog.days_between(backlog.local_date('issues.last_activity_at'), 'as_of.as_of_day') }} as days_without_activity
from {{ ref('issue_enhanced') }} as issues
cross join {{ ref('stg_backlog__as_of') }} as as_of
where not issues.is_closed
    and {{ backlog.days_between(backlog.local_date('issues.last_activity_at'), 'as_of.as_of_day') }} >= {{ var('backlog_stale_days', 30) }}
