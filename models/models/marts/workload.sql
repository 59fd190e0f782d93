-- Per person and week, what is due and what was closed.
with due as (
    select
        assignee_id,
        {{ backlog.week_of('due_date') }} as week,
        max(assignee) as assignee,
        count(*) as issues_due,
        {{ backlog.exact_sum('case when estimated_hours > coalesce(actual_hours, 0) then estimated_hours - coalesce(actual_hours, 0) else 0 end') }} as hours_due
    from {{ ref('issue_enhanced') }}
    where assignee_id is not null and due_date is not null and not is_closed
    group by 1, 2
),

done as (
    select
        assignee_id,
        {{ backlog.week_of(backlog.local_date('closed_at')) }} as week,
        max(assignee) as assignee,
        count(*) as issues_closed
    from {{ ref('lead_times') }}
    where assignee_id is not null and closed_at is not null
    group by 1, 2
)

select
    coalesce(due.assignee_id, done.assignee_id) as assignee_id,
    coalesce(due.assignee, done.assignee) as assignee,
    coalesce(due.week, done.week) as week,
    coalesce(due.issues_due, 0) as issues_due,
    coalesce(due.hours_due, 0) as hours_due,
    coalesce(done.issues_closed, 0) as issues_closed
from due
full outer join done on done.assignee_id = due.assignee_id and done.week = due.week
