{#- Every value that every field of every issue ever had, from the creation of the issue on.

    An interval lies between two boundaries: the creation, a change, a move, a deletion of what the field pointed to, the
    present. Each of them knows the value before it, after it, both or neither; the interval takes what its two ends
    know. -#}
{{ config(
    materialized=backlog.kept_up(), unique_key='issue_id', incremental_strategy='delete+insert', on_schema_change='fail',
    post_hook="{{ backlog.forget_issues_that_are_gone() }}"
) }}
{%- set text = dbt.type_string() %}
{%- set bigint = dbt.type_bigint() %}
{%- set no_text = "cast(null as " ~ text ~ ")" %}
{%- set no_number = "cast(null as " ~ bigint ~ ")" %}
{%- set forwards = "(partition by issue_id, field_key order by happened_at, comment_id, place)" %}
{%- set following = "(partition by entries.issue_id, entries.field_key order by entries.entered_at, entries.comment_id, entries.place)" %}
with issues as (
    select issues.*, fingerprints.fingerprint
    from {{ ref('stg_backlog__issues') }} as issues
    inner join {{ ref('int_backlog__fingerprints') }} as fingerprints on fingerprints.issue_id = issues.issue_id
    {%- if is_incremental() %}
    left join (
        select issue_id, fingerprint from {{ this }} where field_key = 'issueKey' and sequence = 0
    ) as built on built.issue_id = issues.issue_id and built.fingerprint = fingerprints.fingerprint
    where built.issue_id is null
    {%- endif %}
),

changes as (
    select changes.*
    from {{ ref('int_backlog__changes') }} as changes
    inner join issues on issues.issue_id = changes.issue_id
),

objects as (
    select * from {{ ref('int_backlog__objects') }}
),

-- What the issue has now.
now_single as (
    {%- for field, value, id in [
        ('issueKey', 'issue_key', 'project_id'), ('summary', 'summary', none), ('description', 'description', none),
        ('status', 'status', 'status_id'), ('resolution', 'resolution', 'resolution_id'),
        ('priority', 'priority', 'priority_id'), ('issueType', 'issue_type', 'issue_type_id'),
        ('assigner', 'assignee', 'assignee_id'), ('startDate', 'start_date', none), ('limitDate', 'due_date', none),
        ('estimatedHours', 'estimated_hours', none), ('actualHours', 'actual_hours', none),
        ('parentIssue', 'parent_issue_id', 'parent_issue_id')
    ] %}
    select
        issue_id,
        project_id,
        '{{ field }}' as field_key,
        {{ backlog.number_text(value) if value.endswith('hours') else "cast(" ~ value ~ " as " ~ text ~ ")" }} as value,
        {{ "cast(" ~ id ~ " as " ~ text ~ ")" if id else no_text }} as value_id
    from issues
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

now_members as (
    {%- for field, list in [('component', 'categories'), ('version', 'versions'), ('milestone', 'milestones')] %}
    select
        issues.issue_id,
        issues.project_id,
        '{{ field }}' as field_key,
        {{ backlog.json_text(backlog.json_element('each'), ['id']) }} as member_id,
        {{ backlog.json_text(backlog.json_element('each'), ['name']) }} as member
    from issues
    {{ backlog.json_elements('issues.' ~ list, 'each') }}
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

-- A deleted milestone or category stays in the row of an issue that was not read again.
deleted_members as (
    select distinct fields.field_key, deletions.entity_id
    from {{ ref('stg_backlog__deletions') }} as deletions
    inner join (
        select 'category' as entity, 'component' as field_key
        union all select 'version', 'version'
        union all select 'version', 'milestone'
    ) as fields on fields.entity = deletions.entity
    where coalesce(deletions.reason, 'deleted') = 'deleted'
),

now_lists as (
    select
        members.issue_id,
        members.field_key,
        {{ dbt.listagg('coalesce(objects.name, members.member)', "', '", 'order by members.member_id') }} as value,
        {{ dbt.listagg('members.member_id', "', '", 'order by members.member_id') }} as value_id
    from now_members as members
    left join objects
        on objects.field_key = members.field_key
        and objects.scope_id = members.project_id
        and objects.object_id = members.member_id
    left join deleted_members as deleted
        on deleted.field_key = members.field_key and deleted.entity_id = members.member_id
    where deleted.entity_id is null
    group by members.issue_id, members.field_key
),

custom as (
    select
        issues.issue_id,
        cast({{ backlog.json_text(backlog.json_element('field'), ['id']) }} as {{ bigint }}) as custom_field_id,
        {{ backlog.json_text(backlog.json_element('field'), ['name']) }} as field,
        {{ backlog.json_text(backlog.json_element('field'), ['fieldTypeId']) }} as type_id,
        {{ backlog.json_part(backlog.json_element('field'), ['value']) }} as value
    from issues
    {{ backlog.json_elements('issues.custom_fields', 'field') }}
),

custom_lists as (
    select
        custom.issue_id,
        custom.custom_field_id,
        {{ dbt.listagg(backlog.json_text(backlog.json_element('item'), ['name']), "', '", 'order by ' ~ backlog.json_text(backlog.json_element('item'), ['id'])) }} as value,
        {{ dbt.listagg(backlog.json_text(backlog.json_element('item'), ['id']), "', '", 'order by ' ~ backlog.json_text(backlog.json_element('item'), ['id'])) }} as value_id
    from custom
    {{ backlog.json_elements('custom.value', 'item') }}
    where custom.type_id in ('6', '7')
    group by custom.issue_id, custom.custom_field_id
),

present as (
    select
        single.issue_id,
        single.field_key,
        single.field_key as field,
        {{ no_number }} as custom_field_id,
        coalesce(objects.name, single.value) as value,
        single.value_id
    from now_single as single
    left join objects
        on objects.field_key = single.field_key
        and objects.scope_id = {{ backlog.scope_of('single.field_key', 'single.project_id', no_number) }}
        and objects.object_id = single.value_id
    union all
    select issues.issue_id, fields.field_key, fields.field_key, {{ no_number }}, lists.value, lists.value_id
    from issues
    cross join (select 'component' as field_key union all select 'version' union all select 'milestone') as fields
    left join now_lists as lists on lists.issue_id = issues.issue_id and lists.field_key = fields.field_key
    union all
    select
        custom.issue_id,
        'cf:' || cast(custom.custom_field_id as {{ text }}),
        custom.field,
        custom.custom_field_id,
        nullif(case
            when custom.type_id in ('6', '7') then lists.value
            when custom.type_id in ('5', '8') then {{ backlog.json_text('custom.value', ['name']) }}
            when custom.type_id = '4' then substr({{ backlog.json_itself('custom.value') }}, 1, 10)
            when custom.type_id = '3' then {{ backlog.number_text(backlog.json_itself('custom.value')) }}
            else {{ backlog.json_itself('custom.value') }}
        end, ''),
        case
            when custom.type_id in ('6', '7') then lists.value_id
            when custom.type_id in ('5', '8') then {{ backlog.json_text('custom.value', ['id']) }}
        end
    from custom
    left join custom_lists as lists
        on lists.issue_id = custom.issue_id and lists.custom_field_id = custom.custom_field_id
),

fields as (
    select issue_id, field_key, max(field) as field, max(custom_field_id) as custom_field_id, max(is_present) as is_present
    from (
        select issue_id, field_key, field, custom_field_id, 1 as is_present from present
        union all
        -- A custom field that the issue does not have any more goes by the name of its last change.
        select issue_id, field_key, field, custom_field_id, 0
        from (
            select
                *,
                row_number() over (partition by issue_id, field_key order by changed_at desc, comment_id desc, place desc) as turn
            from changes
        ) as latest
        where turn = 1 and not exists (
            select 1 from present
            where present.issue_id = latest.issue_id and present.field_key = latest.field_key
        )
    ) as both_kinds
    group by issue_id, field_key
),

-- Between which entries a deletion falls: where the value was there and is not found by what comes next.
entries as (
    select
        issue_id, project_id, field_key, changed_at as entered_at, comment_id, place, new_text as value,
        new_name as value_name, 1 as is_known
    from changes
    where {{ backlog.is_of_a_project('field_key') }}
    union all
    select
        issues.issue_id, issues.project_id, fields.field_key, issues.created_at, -1, 0, {{ no_text }}, {{ no_text }}, 0
    from issues
    inner join fields on fields.issue_id = issues.issue_id and {{ backlog.is_of_a_project('fields.field_key') }}
),

entries_and_next as (
    select
        entries.*,
        lead(entries.entered_at) over {{ following }} as next_at,
        lead(changes.old_text) over {{ following }} as next_old,
        lead(changes.old_name) over {{ following }} as next_old_name
    from entries
    left join changes
        on changes.issue_id = entries.issue_id
        and changes.comment_id = entries.comment_id
        and changes.place = entries.place
),

removals as (
    select
        entries.issue_id,
        entries.field_key,
        removals.removed_at,
        removals.removed_by_id,
        removals.is_estimated,
        removals.project_id,
        entries.comment_id,
        entries.place,
        removals.name,
        entries.is_known,
        row_number() over (
            partition by entries.issue_id, entries.field_key, removals.removed_at
            order by removals.activity_id, removals.name, entries.entered_at, entries.comment_id, entries.place
        ) as turn_in_second,
        row_number() over (
            partition by entries.issue_id, entries.field_key, removals.removed_at, removals.name
            -- Several may lie within the second of the deletion.
            order by
                case when entries.value = removals.name then 0 when entries.next_old = removals.substitute then 1 else 2 end,
                entries.entered_at desc,
                entries.comment_id desc,
                entries.place desc
        ) as turn
    from entries_and_next as entries
    inner join {{ ref('int_backlog__removals') }} as removals
        on removals.field_key = entries.field_key
        and removals.removed_at >= entries.entered_at
        and (entries.next_at is null or removals.removed_at <= entries.next_at)
        and (
            removals.issue_id = entries.issue_id
            or (
                removals.issue_id is null
                and removals.project_id = entries.project_id
                and entries.is_known = 1
                and (
                    {{ backlog.position_of("', ' || removals.name || ', '", "', ' || entries.value || ', '") }} > 0
                    or {{ backlog.position_of("', ' || removals.name || ', '", "', ' || entries.value_name || ', '") }} > 0
                )
            )
        )
    where entries.next_at is null
        or entries.next_old is null
        or (
            {{ backlog.position_of("', ' || removals.name || ', '", "', ' || entries.next_old || ', '") }} = 0
            and {{ backlog.position_of("', ' || removals.name || ', '", "', ' || coalesce(entries.next_old_name, '') || ', '") }} = 0
        )
),

moves as (
    select issue_id, changed_at, comment_id, place, changed_by_id, changed_by
    from changes
    where field_key = 'issueKey'
),

boundaries as (
    select
        fields.issue_id,
        fields.field_key,
        fields.field,
        fields.custom_field_id,
        'created' as origin,
        issues.created_at as happened_at,
        cast(-1 as {{ bigint }}) as comment_id,
        cast(0 as {{ backlog.type_double() }}) as place,
        issues.created_by_id as changed_by_id,
        coalesce(people.name, issues.created_by_name) as changed_by,
        0 as knows_before,
        0 as knows_after,
        {{ no_text }} as old_text, {{ no_text }} as old_exact_id, {{ no_text }} as old_id, {{ no_text }} as old_name, 0 as old_ambiguous,
        {{ no_text }} as new_text, {{ no_text }} as new_exact_id, {{ no_text }} as new_id, {{ no_text }} as new_name, 0 as new_ambiguous,
        0 as is_estimated
    from fields
    inner join issues on issues.issue_id = fields.issue_id
    left join objects as people
        on people.field_key = 'assigner' and people.object_id = cast(issues.created_by_id as {{ text }})
    union all
    select
        changes.issue_id,
        changes.field_key,
        fields.field,
        fields.custom_field_id,
        'changed',
        changes.changed_at,
        changes.comment_id,
        changes.place,
        changes.changed_by_id,
        changes.changed_by,
        1,
        1,
        {%- for side in ('old', 'new') %}
        changes.{{ side }}_text,
        {#- The id that belongs to a key is that of the project. #}
        case when changes.field_key = 'issueKey' then cast({{ side }}_keys.project_id as {{ text }}) else changes.{{ side }}_exact_id end,
        changes.{{ side }}_id,
        changes.{{ side }}_name,
        changes.{{ side }}_ambiguous,
        {%- endfor %}
        -- Nobody can say what was deleted in a project whose key is not known any more.
        case when changes.project_id is null and {{ backlog.is_of_a_project('changes.field_key') }} then 1 else 0 end
    from changes
    inner join fields on fields.issue_id = changes.issue_id and fields.field_key = changes.field_key
    {%- for side in ('old', 'new') %}
    left join {{ ref('int_backlog__project_keys') }} as {{ side }}_keys
        on changes.field_key = 'issueKey'
        and {{ side }}_keys.project_key = {{ dbt.split_part('changes.' ~ side ~ '_text', "'-'", 1) }}
    {%- endfor %}
    union all
    select
        moves.issue_id,
        fields.field_key,
        fields.field,
        fields.custom_field_id,
        'moved',
        moves.changed_at,
        moves.comment_id,
        moves.place,
        moves.changed_by_id,
        moves.changed_by,
        0,
        0,
        {{ no_text }}, {{ no_text }}, {{ no_text }}, {{ no_text }}, 0,
        {{ no_text }}, {{ no_text }}, {{ no_text }}, {{ no_text }}, 0,
        0
    from moves
    inner join fields on fields.issue_id = moves.issue_id
    where fields.custom_field_id is not null or fields.field_key in ('status', 'issueType', 'component', 'version', 'milestone', 'parentIssue')
    union all
    select
        removals.issue_id,
        removals.field_key,
        removals.field_key,
        {{ no_number }},
        'removed',
        removals.removed_at,
        removals.comment_id,
        removals.place + 0.5 + removals.turn_in_second / 10000.0,
        removals.removed_by_id,
        people.name,
        case when removals.is_known = 0 then 1 else 0 end,
        0,
        removals.name, {{ no_text }}, names.object_id, removals.name, 0,
        {{ no_text }}, {{ no_text }}, {{ no_text }}, {{ no_text }}, 0,
        removals.is_estimated
    from removals
    inner join issues on issues.issue_id = removals.issue_id
    left join {{ ref('int_backlog__names') }} as names
        on names.field_key = removals.field_key and names.scope_id = removals.project_id and names.name = removals.name
    left join objects as people
        on people.field_key = 'assigner' and people.object_id = cast(removals.removed_by_id as {{ text }})
    where removals.turn = 1 and (issues.deleted_at is null or removals.removed_at <= issues.deleted_at)
    union all
    select
        fields.issue_id,
        fields.field_key,
        fields.field,
        fields.custom_field_id,
        'now',
        cast('9999-12-31' as {{ backlog.type_moment() }}),
        {{ no_number }},
        0,
        {{ no_number }},
        {{ no_text }},
        fields.is_present,
        0,
        present.value, present.value_id, {{ no_text }}, present.value, 0,
        {{ no_text }}, {{ no_text }}, {{ no_text }}, {{ no_text }}, 0,
        0
    from fields
    left join present on present.issue_id = fields.issue_id and present.field_key = fields.field_key
),

numbered as (
    select
        boundaries.*,
        row_number() over {{ forwards }} - 1 as sequence,
        -- A boundary that does not know what was before it belongs to the next one that does.
        sum(knows_before) over (
            partition by issue_id, field_key
            order by happened_at desc, comment_id desc, place desc
            rows between unbounded preceding and current row
        ) as next_known
    from boundaries
),

paired as (
    select
        numbered.*,
        lead(happened_at) over {{ forwards }} as ended_at,
        lead(origin) over {{ forwards }} as ended_by,
        lead(knows_before) over {{ forwards }} as end_knows,
        lead(is_estimated) over {{ forwards }} as end_is_estimated,
        lead(known_text) over {{ forwards }} as end_text,
        lead(known_exact_id) over {{ forwards }} as end_exact_id,
        lead(known_id) over {{ forwards }} as end_id,
        lead(known_name) over {{ forwards }} as end_name,
        lead(known_ambiguous) over {{ forwards }} as end_ambiguous
    from (
        select
            numbered.*,
            {%- for column in ('text', 'exact_id', 'id', 'name', 'ambiguous') %}
            max(case when knows_before = 1 then old_{{ column }} end) over (partition by issue_id, field_key, next_known) as known_{{ column }}
            {{- "," if not loop.last }}
            {%- endfor %}
        from numbered
    ) as numbered
),

-- The end may tell the id of what went by another name at the beginning; not where it is about something else.
judged as (
    select
        paired.*,
        case
            when knows_after = 0 then 0
            when end_knows = 0 or end_text is null then 1
            -- What has the name now that every project begins with had no other one before.
            when field_key = 'status' and new_text <> end_text and ({{ backlog.is_first_status('end_text') }}) then 1
            else 0
        end as is_left
    from paired
),

valued as (
    select
        judged.*,
        -- Before an issue was moved it did not have the custom fields of its project of today.
        case
            when knows_after = 1 then new_text
            when custom_field_id is not null and end_knows = 0 then null
            else end_text
        end as recorded_value,
        case
            when knows_after = 1 and new_text is null then null
            when custom_field_id is not null and knows_after = 0 and end_knows = 0 then null
            when is_left = 1 then coalesce(new_exact_id, new_id)
            else coalesce(new_exact_id, end_exact_id, end_id, new_id)
        end as value_id,
        -- By that id: its name of today.
        case
            when knows_after = 1 and new_text is null then null
            when is_left = 1 then new_name
            when new_exact_id is not null then new_name
            when coalesce(end_exact_id, end_id) is not null then end_name
            else coalesce(new_name, end_name)
        end as latest_name
    from judged
    where origin <> 'now'
),

-- What was deleted in the projects of an issue.
doubts as (
    select places.issue_id, removals.field_key, removals.removed_at, removals.made_at
    from (
        select issue_id, project_id, created_at from issues
        {{ backlog.union_distinct() }}
        select changes.issue_id, changes.project_id, issues.created_at
        from changes
        inner join issues on issues.issue_id = changes.issue_id
    ) as places
    inner join {{ ref('int_backlog__removals') }} as removals on removals.project_id = places.project_id
    where removals.issue_id is null
        and removals.removed_at >= places.created_at
)

select
    valued.issue_id,
    issues.project_id,
    valued.field,
    valued.custom_field_id,
    valued.field_key,
    valued.sequence,
    case
        when valued.recorded_value is null then null
        when valued.field_key in ('estimatedHours', 'actualHours') then {{ backlog.number_text('valued.recorded_value') }}
        when valued.field_key = 'issueKey'
            then coalesce(projects.project_key || '-' || {{ dbt.split_part('valued.recorded_value', "'-'", 2) }}, valued.recorded_value)
        else coalesce(valued.latest_name, valued.recorded_value)
    end as value,
    valued.value_id,
    valued.recorded_value,
    case
        when valued.custom_field_id is not null or valued.field_key in ('estimatedHours', 'actualHours')
            then {{ backlog.to_number_or_null('valued.recorded_value') }}
    end as value_number,
    case
        when valued.custom_field_id is not null or valued.field_key in ('startDate', 'limitDate')
            then {{ backlog.to_day_or_null('valued.recorded_value') }}
    end as value_date,
    valued.happened_at as valid_from,
    case when valued.ended_by = 'now' then issues.deleted_at else valued.ended_at end as valid_to,
    valued.origin,
    valued.changed_by_id,
    valued.changed_by,
    valued.comment_id,
    case
        when valued.recorded_value is not null and valued.value_id is null
            and (valued.new_ambiguous = 1 or (valued.end_knows = 1 and valued.end_ambiguous = 1))
            then true
        else false
    end as is_ambiguous,
    case
        when valued.is_estimated = 1 or valued.end_is_estimated = 1 then true
        -- Neither end knows.
        when valued.knows_after = 0 and valued.end_knows = 0 then true
        -- The two ends differ: something happened between them that nothing tells of.
        when valued.knows_after = 1 and valued.end_knows = 1
            and coalesce(valued.new_text, '') <> coalesce(valued.end_text, '')
            and (
                coalesce(valued.new_exact_id, valued.new_id) is null
                or coalesce(valued.end_exact_id, valued.end_id) is null
                or coalesce(valued.new_exact_id, valued.new_id) <> coalesce(valued.end_exact_id, valued.end_id)
            )
            and (
                valued.field_key not in ('estimatedHours', 'actualHours')
                or {{ backlog.to_number_or_null('valued.new_text') }} <> {{ backlog.to_number_or_null('valued.end_text') }}
            )
            then true
        -- Something was deleted that the issue may have had: since its creation, since a move, under another name.
        when (valued.knows_after = 0 or (valued.new_text is not null and coalesce(valued.new_exact_id, valued.new_id) is null)) and exists (
            select 1 from doubts
            where doubts.issue_id = valued.issue_id
                and doubts.field_key = valued.field_key
                and doubts.removed_at >= valued.happened_at
                and doubts.removed_at <= valued.ended_at
                and (doubts.made_at is null or doubts.made_at <= valued.happened_at)
        ) then true
        else false
    end as is_inferred,
    issues.fingerprint
from valued
inner join issues on issues.issue_id = valued.issue_id
left join {{ ref('stg_backlog__projects') }} as projects
    on valued.field_key = 'issueKey' and cast(projects.project_id as {{ text }}) = valued.value_id
