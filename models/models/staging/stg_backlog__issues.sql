-- One row per issue that was ever loaded, with its latest values; `deletions` says which of them are gone.
with issues as (
    {{ backlog.read_source('issues', [
        ['id', 'integer', 'issue_id'],
        ['projectid', 'integer', 'project_id'],
        ['issuekey', 'text', 'issue_key'],
        ['summary', 'text'],
        ['description', 'text'],
        ['status', 'json'],
        ['resolution', 'json'],
        ['priority', 'json'],
        ['issuetype', 'json', 'issue_type'],
        ['assignee', 'json'],
        ['category', 'json', 'categories'],
        ['versions', 'json'],
        ['milestone', 'json', 'milestones'],
        ['startdate', 'day', 'start_date'],
        ['duedate', 'day', 'due_date'],
        ['estimatedhours', 'number', 'estimated_hours'],
        ['actualhours', 'number', 'actual_hours'],
        ['parentissueid', 'integer', 'parent_issue_id'],
        ['customfields', 'json', 'custom_fields'],
        ['createduser', 'json', 'created_user'],
        ['created', 'moment', 'created_at'],
        ['updated', 'moment', 'updated_at']
    ]) }}
),

gone as (
    select
        entity_id,
        min(deleted_at) as deleted_at,
        min(deleted_by_id) as deleted_by_id
    from {{ ref('stg_backlog__deletions') }}
    where entity = 'issue'
    group by entity_id
)

select
    issues.issue_id,
    issues.project_id,
    issues.issue_key,
    nullif(issues.summary, '') as summary,
    nullif(issues.description, '') as description,
    cast({{ backlog.json_text('issues.status', ['id']) }} as {{ dbt.type_bigint() }}) as status_id,
    {{ backlog.json_text('issues.status', ['name']) }} as status,
    cast({{ backlog.json_text('issues.resolution', ['id']) }} as {{ dbt.type_bigint() }}) as resolution_id,
    {{ backlog.json_text('issues.resolution', ['name']) }} as resolution,
    cast({{ backlog.json_text('issues.priority', ['id']) }} as {{ dbt.type_bigint() }}) as priority_id,
    {{ backlog.json_text('issues.priority', ['name']) }} as priority,
    cast({{ backlog.json_text('issues.issue_type', ['id']) }} as {{ dbt.type_bigint() }}) as issue_type_id,
    {{ backlog.json_text('issues.issue_type', ['name']) }} as issue_type,
    cast({{ backlog.json_text('issues.assignee', ['id']) }} as {{ dbt.type_bigint() }}) as assignee_id,
    {{ backlog.json_text('issues.assignee', ['name']) }} as assignee,
    issues.categories,
    issues.versions,
    issues.milestones,
    issues.start_date,
    issues.due_date,
    issues.estimated_hours,
    issues.actual_hours,
    issues.parent_issue_id,
    issues.custom_fields,
    cast({{ backlog.json_text('issues.created_user', ['id']) }} as {{ dbt.type_bigint() }}) as created_by_id,
    {{ backlog.json_text('issues.created_user', ['name']) }} as created_by_name,
    issues.created_at,
    issues.updated_at,
    gone.deleted_at,
    gone.deleted_by_id,
    gone.entity_id is not null as is_deleted
from issues
left join gone on gone.entity_id = cast(issues.issue_id as {{ dbt.type_string() }})
-- The tombstone of an issue says nothing of what it was.
where issues.created_at is not null
