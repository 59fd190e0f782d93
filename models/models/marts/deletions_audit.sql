-- What was deleted or can no longer be seen, by whom and how it was found.
{{ config(enabled=var('using_deletions', true)) }}
select
    deletions.entity,
    deletions.entity_id,
    deletions.entity_key,
    deletions.entity_name,
    deletions.project_id,
    coalesce(projects.project_key, deletions.project_key) as project_key,
    deletions.deleted_at,
    {{ backlog.local_date('deletions.deleted_at') }} as deleted_on,
    deletions.deleted_by_id,
    coalesce(people.name, deletions.deleted_by_name) as deleted_by,
    deletions.method,
    deletions.reason,
    deletions.activity_id,
    -- A comparison knows only the sync that found it.
    coalesce(deletions.method = 'activity', false) as time_is_exact,
    -- What the tables still hold of an issue.
    issues.issue_key as last_issue_key,
    issues.summary as last_summary
from {{ ref('stg_backlog__deletions') }} as deletions
left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = deletions.project_id
left join {{ ref('int_backlog__objects') }} as people
    on people.field_key = 'assigner' and people.object_id = cast(deletions.deleted_by_id as {{ dbt.type_string() }})
left join {{ ref('stg_backlog__issues') }} as issues
    on deletions.entity = 'issue' and cast(issues.issue_id as {{ dbt.type_string() }}) = deletions.entity_id
