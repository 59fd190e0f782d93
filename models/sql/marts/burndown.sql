with milestones as (
    select
        id as milestone_id,
        name as milestone,
        projectid as project_id,
        cast(startdate as date) as start_date,
        cast(releaseduedate as date) as release_due_date
    from {{ source('backlog', 'versions') }}
),

issues as (
    select
        links.milestone_id,
        issues.issue_id,
        coalesce(issues.estimated_hours, 0) as estimated_hours,
        {{ local_date('issues.created_at') }} as created_on
    from {{ ref('stg_issue_milestones') }} as links
    inner join {{ ref('stg_issues') }} as issues on issues.issue_id = links.issue_id
),

spans as (
    select
        milestones.milestone_id,
        milestones.milestone,
        milestones.project_id,
        milestones.start_date,
        milestones.release_due_date,
        count(*) as issues_now,
        coalesce(milestones.start_date, min(issues.created_on)) as first_day,
        greatest(coalesce(milestones.release_due_date, max(as_of.as_of)), max(as_of.as_of)) as last_day
    from milestones
    inner join issues on issues.milestone_id = milestones.milestone_id
    cross join {{ ref('stg_as_of') }} as as_of
    group by
        milestones.milestone_id,
        milestones.milestone,
        milestones.project_id,
        milestones.start_date,
        milestones.release_due_date
),

counted as (
    select
        spans.milestone_id,
        days.day,
        count(issues.issue_id) as scope_issues,
        sum(issues.estimated_hours) as scope_hours,
        sum(case when daily.status_id = 4 then 0 else 1 end) as open_issues,
        sum(case when daily.status_id = 4 then 0 else issues.estimated_hours end) as open_hours
    from spans
    inner join {{ ref('stg_days') }} as days on days.day between spans.first_day and spans.last_day
    inner join issues on issues.milestone_id = spans.milestone_id and issues.created_on <= days.day
    inner join {{ ref('issue_daily_status') }} as daily
        on daily.issue_id = issues.issue_id and daily.day = days.day
    group by spans.milestone_id, days.day
)

select
    spans.milestone_id,
    spans.milestone,
    spans.project_id,
    days.day,
    -- After the last day that is known there is only the plan.
    case when days.day <= as_of.as_of then coalesce(counted.scope_issues, 0) end as scope_issues,
    case when days.day <= as_of.as_of then coalesce(counted.open_issues, 0) end as open_issues,
    case when days.day <= as_of.as_of then coalesce(counted.scope_hours, 0) end as scope_hours,
    case when days.day <= as_of.as_of then coalesce(counted.open_hours, 0) end as open_hours,
    case
        when spans.start_date < spans.release_due_date and days.day <= spans.release_due_date
            then spans.issues_now
                * {{ dbt.datediff('days.day', 'spans.release_due_date', 'day') }}
                * 1.0 / {{ dbt.datediff('spans.start_date', 'spans.release_due_date', 'day') }}
    end as ideal_issues
from spans
inner join {{ ref('stg_days') }} as days on days.day between spans.first_day and spans.last_day
cross join {{ ref('stg_as_of') }} as as_of
left join counted on counted.milestone_id = spans.milestone_id and counted.day = days.day
