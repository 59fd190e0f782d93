-- Each milestone as it is now, and by how much its scope has grown since its start.
with first_days as (
    select milestone_id, min(day) as first_day, max(case when is_known then day end) as last_day
    from {{ ref('int_backlog__milestone_days') }}
    group by milestone_id
)

select
    milestones.milestone_id,
    milestones.milestone,
    milestones.project_id,
    projects.project_key,
    milestones.start_date,
    milestones.release_due_date,
    coalesce(milestones.is_archived, false) as is_archived,
    coalesce(now_.scope_issues, 0) as issues,
    coalesce(now_.scope_issues - now_.done_issues, 0) as open_issues,
    coalesce(now_.done_issues, 0) as closed_issues,
    coalesce(now_.scope_hours, 0) as planned_hours,
    coalesce({{ backlog.exact('now_.scope_hours - now_.done_hours') }}, 0) as open_planned_hours,
    coalesce(start_.scope_issues, 0) as issues_at_start,
    coalesce(now_.scope_issues, 0) - coalesce(start_.scope_issues, 0) as issues_added_since_start,
    case
        when milestones.release_due_date < as_of.as_of_day and now_.scope_issues > now_.done_issues
            then {{ backlog.days_between('milestones.release_due_date', 'as_of.as_of_day') }}
    end as days_overdue
from {{ ref('stg_backlog__versions') }} as milestones
cross join {{ ref('stg_backlog__as_of') }} as as_of
left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = milestones.project_id
left join first_days on first_days.milestone_id = milestones.milestone_id
left join {{ ref('int_backlog__milestone_days') }} as now_
    on now_.milestone_id = milestones.milestone_id and now_.day = first_days.last_day
left join {{ ref('int_backlog__milestone_days') }} as start_
    on start_.milestone_id = milestones.milestone_id and start_.day = first_days.first_day
