-- What the texts of change logs mean: the object or, for lists of names, the objects, by id.
with texts as (
    select
        field_key,
        {{ backlog.scope_of('field_key', 'project_id', 'custom_field_id') }} as scope_id,
        old_text as text
    from {{ ref('int_backlog__raw_changes') }}
    where old_text is not null
    {{ backlog.union_distinct() }}
    select
        field_key,
        {{ backlog.scope_of('field_key', 'project_id', 'custom_field_id') }} as scope_id,
        new_text as text
    from {{ ref('int_backlog__raw_changes') }}
    where new_text is not null
),

names as (
    select names.*, objects.name as latest_name
    from {{ ref('int_backlog__names') }} as names
    left join {{ ref('int_backlog__objects') }} as objects
        on objects.field_key = names.field_key
        and objects.scope_id = names.scope_id
        and objects.object_id = names.object_id
),

single as (
    select texts.*, names.object_id, names.latest_name, names.is_ambiguous
    from texts
    left join names on names.field_key = texts.field_key and names.scope_id = texts.scope_id and names.name = texts.text
    where texts.field_key not in ('issueKey', 'summary', 'description', 'startDate', 'limitDate', 'estimatedHours', 'actualHours')
),

several as (
    select
        single.field_key,
        single.scope_id,
        single.text,
        {{ dbt.listagg('names.object_id', "', '", 'order by names.object_id') }} as object_ids,
        {{ dbt.listagg('names.latest_name', "', '", 'order by names.object_id') }} as latest_names,
        sum({{ backlog.names_in('names.name') }}) as parts,
        max(names.is_ambiguous) as is_ambiguous
    from single
    inner join names
        on names.field_key = single.field_key
        and names.scope_id = single.scope_id
        and {{ backlog.position_of("', ' || names.name || ', '", "', ' || single.text || ', '") }} > 0
    where single.object_id is null
        and single.is_ambiguous is null
        and {{ backlog.position_of("', '", 'single.text') }} > 0
        and (single.field_key in ('component', 'version', 'milestone') or single.field_key like 'cf:%')
    group by single.field_key, single.scope_id, single.text
)

select
    single.field_key,
    single.scope_id,
    single.text,
    coalesce(
        single.object_id,
        case when several.is_ambiguous = 0 and several.parts = {{ backlog.names_in('single.text') }} then several.object_ids end
    ) as value_id,
    coalesce(
        single.latest_name,
        case when several.is_ambiguous = 0 and several.parts = {{ backlog.names_in('single.text') }} then several.latest_names end
    ) as value_name,
    coalesce(single.is_ambiguous, several.is_ambiguous, 0) as is_ambiguous
from single
left join several
    on several.field_key = single.field_key and several.scope_id = single.scope_id and several.text = single.text
