-- Who did what to which object: one row per entry of the activity feed.
{{ config(enabled=var('using_activities', true)) }}
select
    activities.activity_id,
    activities.happened_at,
    {{ backlog.local_date('activities.happened_at') }} as happened_on,
    activities.type_id,
    activities.type_name,
    activities.project_id,
    coalesce(projects.project_key, activities.project_key) as project_key,
    activities.person_id,
    coalesce(people.name, activities.person_name) as person,
    case
        when activities.type_id in (1, 2, 3, 4, 17)
            then coalesce(projects.project_key, activities.project_key) || '-' || {{ backlog.json_text('activities.content', ['key_id']) }}
        else coalesce(
            {{ backlog.json_text('activities.content', ['name']) }},
            {{ backlog.json_text('activities.content', ['title']) }},
            {{ backlog.json_text('activities.content', ['deletedStatus', 'name']) }}
        )
    end as subject,
    {{ backlog.json_text('activities.content', ['summary']) }} as summary,
    activities.type_id in (4, 7, 10, 16, 21, 24, 26, 34, 37, 42, 45) as is_removal
from {{ ref('stg_backlog__activities') }} as activities
left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = activities.project_id
left join {{ ref('int_backlog__objects') }} as people
    on people.field_key = 'assigner' and people.object_id = cast(activities.person_id as {{ dbt.type_string() }})
