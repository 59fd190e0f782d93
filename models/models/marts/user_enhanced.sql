-- Everybody who is or was here, by id and latest name.
with assigned as (
    select
        assignee_id,
        count(*) as issues,
        sum(case when is_closed then 0 else 1 end) as open_issues,
        sum(case when days_overdue > 0 then 1 else 0 end) as overdue_issues,
        coalesce({{ backlog.exact_sum('case when is_closed then 0 else estimated_hours end') }}, 0) as open_planned_hours
    from {{ ref('issue_enhanced') }}
    where assignee_id is not null
    group by assignee_id
),

created as (
    select created_by_id, count(*) as created_issues
    from {{ ref('issue_enhanced') }}
    where created_by_id is not null
    group by created_by_id
),

hours as (
    select person_id, {{ backlog.exact_sum('hours') }} as hours_entered from {{ ref('worklog') }} where person_id is not null group by person_id
),

said as (
    select person_id, sum(comments) as comments from {{ ref('comments_by_person') }} where person_id is not null group by person_id
),

seen as (
    select person_id, max(happened_at) as last_activity_at
    from {{ ref('stg_backlog__activities') }}
    where person_id is not null
    group by person_id
)

select
    cast(people.object_id as {{ dbt.type_bigint() }}) as user_id,
    people.name,
    users.login_id,
    users.mail_address,
    users.role_type as role_id,
    users.user_id is not null as is_in_the_space,
    users.last_login_at,
    coalesce(assigned.issues, 0) as issues,
    coalesce(assigned.open_issues, 0) as open_issues,
    coalesce(assigned.overdue_issues, 0) as overdue_issues,
    coalesce(assigned.open_planned_hours, 0) as open_planned_hours,
    coalesce(created.created_issues, 0) as created_issues,
    coalesce(hours.hours_entered, 0) as hours_entered,
    coalesce(said.comments, 0) as comments,
    seen.last_activity_at
from {{ ref('int_backlog__objects') }} as people
left join {{ ref('stg_backlog__users') }} as users on cast(users.user_id as {{ dbt.type_string() }}) = people.object_id
left join assigned on cast(assigned.assignee_id as {{ dbt.type_string() }}) = people.object_id
left join created on cast(created.created_by_id as {{ dbt.type_string() }}) = people.object_id
left join hours on cast(hours.person_id as {{ dbt.type_string() }}) = people.object_id
left join said on cast(said.person_id as {{ dbt.type_string() }}) = people.object_id
left join seen on cast(seen.person_id as {{ dbt.type_string() }}) = people.object_id
where people.field_key = 'assigner'
