-- Open issues whose due date has passed, the worst first.
select
    issue_id,
    issue_key,
    project_id,
    project_key,
    summary,
    status_id,
    status,
    assignee_id,
    assignee,
    due_date,
    days_overdue,
    times_due_date_changed,
    estimated_hours,
    actual_hours,
    last_activity_at
from {{ ref('issue_enhanced') }}
where days_overdue > 0
