select
    id as activity_id,
    created as happened_at,
    {{ local_date('created') }} as happened_on,
    type as type_id,
    typename as type_name,
    projectid as project_id,
    projectkey as project_key,
    createduserid as person_id,
    createdusername as person_name,
    case
        when type in (1, 2, 3, 4, 17, 35) then projectkey || '-' || {{ json_text('content', ['key_id']) }}
        else coalesce({{ json_text('content', ['name']) }}, {{ json_text('content', ['title']) }})
    end as subject,
    {{ json_text('content', ['summary']) }} as summary,
    type in (4, 7, 10, 16, 21, 24, 26, 34, 37, 42, 45) as is_removal
from {{ source('backlog', 'activities') }}
