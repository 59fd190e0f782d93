-- Statuses, milestones, categories and types that were deleted: their issues lost them without a change of their own.
-- A deleted status names its issues; of the others only the project is known, so `issue_id` is null.
-- What was found by comparing lists happened some time before `removed_at`.
with told as (
    select
        cast({{ backlog.json_text(backlog.json_element('link'), ['id']) }} as {{ dbt.type_bigint() }}) as issue_id,
        activities.project_id,
        'status' as field_key,
        {{ backlog.json_text('activities.content', ['deletedStatus', 'name']) }} as name,
        {{ backlog.json_text('activities.content', ['change', 'new_value']) }} as substitute,
        activities.happened_at as removed_at,
        activities.person_id as removed_by_id,
        activities.activity_id,
        0 as is_estimated
    from {{ ref('stg_backlog__activities') }} as activities
    {{ backlog.json_elements(backlog.json_part('activities.content', ['link']), 'link') }}
    where activities.type_id = 34
),

listed as (
    select
        cast(null as {{ dbt.type_bigint() }}) as issue_id,
        deletions.project_id,
        fields.field_key,
        deletions.entity_name as name,
        cast(null as {{ dbt.type_string() }}) as substitute,
        deletions.deleted_at as removed_at,
        deletions.deleted_by_id as removed_by_id,
        deletions.activity_id,
        case when deletions.method = 'activity' then 0 else 1 end as is_estimated
    from {{ ref('stg_backlog__deletions') }} as deletions
    inner join (
        select 'status' as entity, 'status' as field_key
        union all select 'version', 'version'
        union all select 'version', 'milestone'
        union all select 'category', 'component'
        union all select 'issue_type', 'issueType'
    ) as fields on fields.entity = deletions.entity
    where deletions.entity_name is not null
        and coalesce(deletions.reason, 'deleted') = 'deleted'
        and not exists (
            select 1 from {{ ref('stg_backlog__activities') }} as activities
            where activities.activity_id = deletions.activity_id and activities.type_id = 34
        )
),

-- Where the feed was synced and `deletions` was not.
milestones as (
    select
        cast(null as {{ dbt.type_bigint() }}) as issue_id,
        activities.project_id,
        fields.field_key,
        {{ backlog.json_text('activities.content', ['name']) }} as name,
        cast(null as {{ dbt.type_string() }}) as substitute,
        activities.happened_at as removed_at,
        activities.person_id as removed_by_id,
        activities.activity_id,
        0 as is_estimated
    from {{ ref('stg_backlog__activities') }} as activities
    cross join (select 'version' as field_key union all select 'milestone') as fields
    where activities.type_id = 24
        and not exists (select 1 from listed where listed.activity_id = activities.activity_id)
),

all_of_them as (
    select * from told
    union all
    select * from listed
    union all
    select * from milestones
),

made as (
    select
        project_id,
        {{ backlog.json_text('content', ['name']) }} as name,
        min(happened_at) as made_at
    from {{ ref('stg_backlog__activities') }}
    where type_id = 22
    group by 1, 2
)

select
    all_of_them.*,
    -- What an issue is older than, it did not have from its creation on.
    case when all_of_them.field_key in ('version', 'milestone') then made.made_at end as made_at
from all_of_them
left join made on made.project_id = all_of_them.project_id and made.name = all_of_them.name
