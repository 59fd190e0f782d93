-- The issues that exist, each with the latest names of what it points to and what happened to it.
with now_ as (
    {{ backlog.issue_as_of('(select as_of from ' ~ ref('stg_backlog__as_of') ~ ')') }}
),

changes as (
    select
        issue_id,
        count(distinct comment_id) as changes,
        count(distinct changed_by_id) as people,
        sum(case when field_key = 'assigner' then 1 else 0 end) as times_reassigned,
        sum(case when field_key = 'limitDate' then 1 else 0 end) as times_due_date_changed,
        max(changed_at) as last_changed_at
    from {{ ref('int_backlog__changes') }}
    group by issue_id
),

comments as (
    select
        issue_id,
        sum(case when content is null or content = '' then 0 else 1 end) as comments,
        max(created_at) as last_commented_at
    from {{ ref('stg_backlog__issue_comments') }}
    group by issue_id
)

select
    now_.*,
    projects.project_key,
    projects.project,
    coalesce(projects.is_archived, false) as project_is_archived,
    coalesce(now_.status_id = 4, false) as is_closed,
    case
        when now_.due_date < as_of.as_of_day and (now_.status_id <> 4 or now_.status_id is null)
            then {{ backlog.days_between('now_.due_date', 'as_of.as_of_day') }}
    end as days_overdue,
    issues.created_by_id,
    creators.changed_by as created_by,
    issues.created_at,
    issues.updated_at,
    coalesce(changes.changes, 0) as changes,
    coalesce(changes.people, 0) as people_who_changed_it,
    coalesce(changes.times_reassigned, 0) as times_reassigned,
    coalesce(changes.times_due_date_changed, 0) as times_due_date_changed,
    coalesce(comments.comments, 0) as comments,
    changes.last_changed_at,
    comments.last_commented_at,
    {{ backlog.latest_of('issues.created_at', 'changes.last_changed_at', 'comments.last_commented_at') }} as last_activity_at
from now_
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = now_.issue_id
cross join {{ ref('stg_backlog__as_of') }} as as_of
left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = issues.project_id
left join changes on changes.issue_id = now_.issue_id
left join comments on comments.issue_id = now_.issue_id
left join {{ ref('issue_field_history') }} as creators
    on creators.issue_id = now_.issue_id and creators.field_key = 'issueKey' and creators.sequence = 0
where not issues.is_deleted
