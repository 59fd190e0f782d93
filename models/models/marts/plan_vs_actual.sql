-- Planned and actual hours of the issues that exist, per project, milestone and assignee of today.
with members as (
    select members.issue_id, milestones.milestone_id, milestones.milestone
    from {{ ref('int_backlog__milestone_members') }} as members
    inner join {{ ref('stg_backlog__versions') }} as milestones on milestones.milestone_id = members.milestone_id
    where members.last_day is null
),

shares as (
    select
        issues.*,
        members.milestone_id,
        members.milestone,
        count(*) over (partition by issues.issue_id) as milestones_of_it
    from {{ ref('issue_enhanced') }} as issues
    left join members on members.issue_id = issues.issue_id
)

select
    project_id,
    max(project_key) as project_key,
    milestone_id,
    max(milestone) as milestone,
    assignee_id,
    max(assignee) as assignee,
    count(*) as issues,
    count(estimated_hours) as issues_with_plan,
    count(actual_hours) as issues_with_actual,
    -- An issue in several milestones counts in each of them with its share.
    coalesce({{ backlog.exact_sum('estimated_hours / milestones_of_it') }}, 0) as planned_hours,
    coalesce({{ backlog.exact_sum('actual_hours / milestones_of_it') }}, 0) as actual_hours,
    -- Only issues that have both can say how good the plan was.
    {{ backlog.exact_sum('case when estimated_hours is not null then (actual_hours - estimated_hours) / milestones_of_it end') }} as hours_over_plan
from shares
group by project_id, milestone_id, assignee_id
