with due as (
    select
        assignee_id,
        assignee_name,
        {{ week_of('due_date') }} as week,
        count(*) as issues_due,
        sum(case when estimated_hours > coalesce(actual_hours, 0) then estimated_hours - coalesce(actual_hours, 0) else 0 end)
            as hours_due
    from {{ ref('stg_issues') }}
    where assignee_id is not null and due_date is not null and status_id <> 4
    group by 1, 2, 3
),

done as (
    select
        assignee_id,
        assignee_name,
        {{ week_of(local_date('closed_at')) }} as week,
        count(*) as issues_closed
    from {{ ref('issue_lead_times') }}
    where assignee_id is not null and closed_at is not null
    group by 1, 2, 3
)

select
    coalesce(due.assignee_id, done.assignee_id) as assignee_id,
    coalesce(due.assignee_name, done.assignee_name) as assignee_name,
    coalesce(due.week, done.week) as week,
    coalesce(due.issues_due, 0) as issues_due,
    coalesce(due.hours_due, 0) as hours_due,
    coalesce(done.issues_closed, 0) as issues_closed
from due
full outer join done on done.assignee_id = due.assignee_id and done.week = due.week
