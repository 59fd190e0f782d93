-- Every name that an object has or had, as far as any table tells, and when it was seen. Rank 2 are guesses.
{%- set text = dbt.type_string() %}
{%- set never = "cast(null as " ~ backlog.type_moment() ~ ")" %}
with issues as (
    select * from {{ ref('stg_backlog__issues') }}
),

changes as (
    select * from {{ ref('int_backlog__raw_changes') }}
),

events as (
    select * from {{ ref('stg_backlog__activities') }}
),

milestones as (
    select project_id, milestone as name, cast(milestone_id as {{ text }}) as object_id, 1 as is_current, {{ never }} as seen_at
    from {{ ref('stg_backlog__versions') }}
    union all
    select
        project_id, {{ backlog.json_text('content', ['name']) }}, {{ backlog.json_text('content', ['id']) }}, 0, happened_at
    from events
    where type_id in (22, 23, 24)
    union all
    -- A milestone that was renamed: both names.
    select
        events.project_id,
        {{ backlog.json_text(backlog.json_element('change'), ['old_value']) }},
        {{ backlog.json_text('events.content', ['id']) }},
        0,
        events.happened_at
    from events
    {{ backlog.json_elements(backlog.json_part('events.content', ['changes']), 'change') }}
    where events.type_id = 23 and {{ backlog.json_text(backlog.json_element('change'), ['field']) }} = 'name'
    union all
    select project_id, entity_name, entity_id, 0, deleted_at
    from {{ ref('stg_backlog__deletions') }}
    where entity = 'version'
    {%- for list in ('milestones', 'versions') %}
    union all
    select
        issues.project_id,
        {{ backlog.json_text(backlog.json_element('each'), ['name']) }},
        {{ backlog.json_text(backlog.json_element('each'), ['id']) }},
        0,
        max(issues.updated_at)
    from issues
    {{ backlog.json_elements('issues.' ~ list, 'each') }}
    group by 1, 2, 3
    {%- endfor %}
),

people as (
    select name, cast(user_id as {{ text }}) as object_id, 1 as is_current, {{ never }} as seen_at
    from {{ ref('stg_backlog__users') }}
    union all
    select name, cast(user_id as {{ text }}), 1, {{ never }} from {{ ref('stg_backlog__project_users') }}
    union all
    select person_name, cast(person_id as {{ text }}), 0, max(happened_at) from events group by 1, 2
    union all
    select changed_by_name, cast(changed_by_id as {{ text }}), 0, max(changed_at) from changes group by 1, 2
    union all
    select assignee, cast(assignee_id as {{ text }}), 0, max(updated_at) from issues group by 1, 2
    union all
    select created_by_name, cast(created_by_id as {{ text }}), 0, max(created_at) from issues group by 1, 2
),

known as (
    select 'status' as field_key, project_id as scope_id, status as name, cast(status_id as {{ text }}) as object_id, 1 as is_current, {{ never }} as seen_at, 1 as guess
    from {{ ref('stg_backlog__statuses') }}
    union all
    select 'status', project_id, status, cast(status_id as {{ text }}), 0, max(updated_at), 1 from issues group by 2, 3, 4
    union all
    select 'status', project_id, entity_name, entity_id, 0, deleted_at, 1
    from {{ ref('stg_backlog__deletions') }}
    where entity = 'status' and {{ backlog.is_whole('entity_id') }}
    {%- for side in ('old', 'new') %}
    union all
    select field_key, case when field_key = 'status' then project_id else 0 end, {{ side }}_text, {{ side }}_exact_id, 0, max(changed_at), 1
    from changes
    where field_key in ('status', 'resolution') and {{ side }}_exact_id is not null
    group by 1, 2, 3, 4
    {%- endfor %}
    {%- for number, english, japanese in backlog.first_statuses() %}
    {%- for name in (english, japanese) %}
    union all
    select 'status', project_id, '{{ name }}', '{{ number }}', 0, {{ never }}, 2 from {{ ref('stg_backlog__projects') }}
    {%- endfor %}
    {%- endfor %}
    union all
    select 'issueType', project_id, issue_type, cast(issue_type_id as {{ text }}), 1, {{ never }}, 1 from {{ ref('stg_backlog__issue_types') }}
    union all
    select 'issueType', project_id, issue_type, cast(issue_type_id as {{ text }}), 0, max(updated_at), 1 from issues group by 2, 3, 4
    union all
    select 'issueType', project_id, entity_name, entity_id, 0, deleted_at, 1
    from {{ ref('stg_backlog__deletions') }}
    where entity = 'issue_type'
    union all
    select 'component', project_id, category, cast(category_id as {{ text }}), 1, {{ never }}, 1 from {{ ref('stg_backlog__categories') }}
    union all
    select
        'component',
        issues.project_id,
        {{ backlog.json_text(backlog.json_element('each'), ['name']) }},
        {{ backlog.json_text(backlog.json_element('each'), ['id']) }},
        0,
        max(issues.updated_at),
        1
    from issues
    {{ backlog.json_elements('issues.categories', 'each') }}
    group by 2, 3, 4
    union all
    select 'component', project_id, entity_name, entity_id, 0, deleted_at, 1
    from {{ ref('stg_backlog__deletions') }}
    where entity = 'category'
    union all
    select 'milestone', project_id, name, object_id, is_current, seen_at, 1 from milestones
    union all
    select 'version', project_id, name, object_id, is_current, seen_at, 1 from milestones
    union all
    select 'assigner', 0, name, object_id, is_current, seen_at, 1 from people
    union all
    select 'priority', 0, priority, cast(priority_id as {{ text }}), 1, {{ never }}, 1 from {{ ref('stg_backlog__priorities') }}
    union all
    select 'priority', 0, priority, cast(priority_id as {{ text }}), 0, max(updated_at), 1 from issues group by 3, 4
    union all
    select 'resolution', 0, resolution, cast(resolution_id as {{ text }}), 1, {{ never }}, 1 from {{ ref('stg_backlog__resolutions') }}
    union all
    select 'resolution', 0, resolution, cast(resolution_id as {{ text }}), 0, max(updated_at), 1 from issues group by 3, 4
    union all
    select 'parentIssue', 0, issue_key, cast(issue_id as {{ text }}), 1, {{ never }}, 1 from issues
    union all
    select 'parentIssue', 0, old_text, cast(issue_id as {{ text }}), 0, changed_at, 1 from changes where field_key = 'issueKey'
    union all
    select
        'parentIssue',
        0,
        project_key || '-' || {{ backlog.json_text('content', ['key_id']) }},
        {{ backlog.json_text('content', ['id']) }},
        0,
        max(happened_at),
        1
    from events
    where type_id in (1, 2, 3, 4)
    group by 3, 4
    union all
    select
        'cf:' || cast(custom_field_id as {{ text }}), custom_field_id, item, cast(item_id as {{ text }}), 1, {{ never }}, 1
    from {{ ref('stg_backlog__custom_field_items') }}
    union all
    select
        'cf:' || {{ backlog.json_text(backlog.json_element('field'), ['id']) }},
        cast({{ backlog.json_text(backlog.json_element('field'), ['id']) }} as {{ dbt.type_bigint() }}),
        {{ backlog.json_text(backlog.json_element('field'), ['value', 'name']) }},
        {{ backlog.json_text(backlog.json_element('field'), ['value', 'id']) }},
        0,
        max(issues.updated_at),
        1
    from issues
    {{ backlog.json_elements('issues.custom_fields', 'field') }}
    where {{ backlog.json_text(backlog.json_element('field'), ['fieldTypeId']) }} in ('5', '8')
    group by 1, 2, 3, 4
    union all
    select
        'cf:' || {{ backlog.json_text(backlog.json_element('field'), ['id']) }},
        cast({{ backlog.json_text(backlog.json_element('field'), ['id']) }} as {{ dbt.type_bigint() }}),
        {{ backlog.json_text(backlog.json_element('item'), ['name']) }},
        {{ backlog.json_text(backlog.json_element('item'), ['id']) }},
        0,
        max(issues.updated_at),
        1
    from issues
    {{ backlog.json_elements('issues.custom_fields', 'field') }}
    {{ backlog.json_elements(backlog.json_part(backlog.json_element('field'), ['value']), 'item') }}
    where {{ backlog.json_text(backlog.json_element('field'), ['fieldTypeId']) }} in ('6', '7')
    group by 1, 2, 3, 4
)

select
    field_key,
    scope_id,
    name,
    object_id,
    max(is_current) as is_current,
    max(seen_at) as seen_at,
    min(guess) as guess
from known
where name is not null and name <> '' and object_id is not null
group by field_key, scope_id, name, object_id
