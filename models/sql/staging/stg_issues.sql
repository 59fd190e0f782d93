-- The issues that exist: a table that is merged keeps the rows of deleted ones, and `deletions` names them.
select
    id as issue_id,
    issuekey as issue_key,
    projectid as project_id,
    summary,
    cast({{ json_text('status', ['id']) }} as integer) as status_id,
    {{ json_text('status', ['name']) }} as status_name,
    {{ json_text('issuetype', ['name']) }} as issue_type,
    {{ json_text('priority', ['name']) }} as priority,
    cast({{ json_text('assignee', ['id']) }} as integer) as assignee_id,
    {{ json_text('assignee', ['name']) }} as assignee_name,
    created as created_at,
    updated as updated_at,
    cast(startdate as date) as start_date,
    cast(duedate as date) as due_date,
    estimatedhours as estimated_hours,
    actualhours as actual_hours
from {{ source('backlog', 'issues') }}
where cast(id as varchar) not in (select entityid from {{ source('backlog', 'deletions') }} where entity = 'issue')
