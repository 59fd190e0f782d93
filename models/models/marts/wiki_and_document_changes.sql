-- What happened to wiki pages and documents.
{{ config(enabled=var('using_activities', true)) }}
select
    activities.activity_id,
    activities.happened_at,
    activities.happened_on,
    activities.type_id,
    activities.type_name,
    case when activities.type_id in (5, 6, 7) then 'wiki' else 'document' end as kind,
    {{ backlog.json_text('feed.content', ['id']) }} as object_id,
    activities.project_id,
    activities.project_key,
    activities.person_id,
    activities.person,
    activities.subject,
    activities.is_removal
from {{ ref('activity_audit') }} as activities
inner join {{ ref('stg_backlog__activities') }} as feed on feed.activity_id = activities.activity_id
where activities.type_id in (5, 6, 7, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 48, 49)
