select
    issues.project_id,
    projects.projectkey as project_key,
    issues.assignee_id,
    issues.assignee_name,
    count(*) as issues,
    count(issues.estimated_hours) as issues_with_plan,
    count(issues.actual_hours) as issues_with_actual,
    coalesce(sum(issues.estimated_hours), 0) as planned_hours,
    coalesce(sum(issues.actual_hours), 0) as actual_hours,
    -- Only issues that have both can say how good the plan was.
    sum(case when issues.estimated_hours is not null then issues.actual_hours - issues.estimated_hours end)
        as hours_over_plan
from {{ ref('stg_issues') }} as issues
inner join {{ source('backlog', 'projects') }} as projects on projects.id = issues.project_id
group by issues.project_id, projects.projectkey, issues.assignee_id, issues.assignee_name
