-- Each project with the figures that a list of projects needs.
with issues as (
    select
        project_id,
        count(*) as issues,
        sum(case when is_closed then 0 else 1 end) as open_issues,
        sum(case when days_overdue > 0 then 1 else 0 end) as overdue_issues,
        sum(case when assignee_id is null and not is_closed then 1 else 0 end) as open_issues_of_nobody,
        coalesce({{ backlog.exact_sum('estimated_hours') }}, 0) as planned_hours,
        coalesce({{ backlog.exact_sum('actual_hours') }}, 0) as actual_hours,
        max(last_activity_at) as last_issue_activity_at
    from {{ ref('issue_enhanced') }}
    group by project_id
),

times as (
    select
        project_id,
        {{ backlog.exact_sum('lead_hours') }} / nullif(count(lead_hours), 0) as average_lead_hours,
        sum(case when closed_at is not null then 1 else 0 end) as closed_issues,
        sum(case when times_reopened > 0 then 1 else 0 end) as reopened_issues
    from {{ ref('lead_times') }}
    group by project_id
),

members as (
    select project_id, count(*) as members from {{ ref('stg_backlog__project_users') }} group by project_id
)

select
    projects.project_id,
    projects.project_key,
    projects.project,
    coalesce(projects.is_archived, false) as is_archived,
    coalesce(issues.issues, 0) as issues,
    coalesce(issues.open_issues, 0) as open_issues,
    coalesce(issues.overdue_issues, 0) as overdue_issues,
    coalesce(issues.open_issues_of_nobody, 0) as open_issues_of_nobody,
    coalesce(times.closed_issues, 0) as closed_issues,
    coalesce(times.reopened_issues, 0) as reopened_issues,
    times.average_lead_hours,
    coalesce(issues.planned_hours, 0) as planned_hours,
    coalesce(issues.actual_hours, 0) as actual_hours,
    coalesce(members.members, 0) as members,
    issues.last_issue_activity_at
from {{ ref('stg_backlog__projects') }} as projects
left join issues on issues.project_id = projects.project_id
left join times on times.project_id = projects.project_id
left join members on members.project_id = projects.project_id
