-- The changes with what their texts mean, each object by its latest name.
with changes as (
    select
        *,
        {{ backlog.scope_of('field_key', 'project_id', 'custom_field_id') }} as scope_id
    from {{ ref('int_backlog__raw_changes') }}
)

select
    changes.issue_id,
    changes.project_id,
    changes.field_key,
    changes.field,
    changes.custom_field_id,
    changes.scope_id,
    changes.comment_id,
    changes.place,
    changes.changed_at,
    changes.changed_by_id,
    coalesce(people.name, changes.changed_by_name) as changed_by,
    {%- for side in ('old', 'new') %}
    changes.{{ side }}_text,
    changes.{{ side }}_exact_id,
    {{ side }}_values.value_id as {{ side }}_id,
    coalesce({{ side }}_objects.name, {{ side }}_values.value_name) as {{ side }}_name,
    case when changes.{{ side }}_exact_id is null then coalesce({{ side }}_values.is_ambiguous, 0) else 0 end as {{ side }}_ambiguous
    {{- "," if not loop.last }}
    {%- endfor %}
from changes
{%- for side in ('old', 'new') %}
left join {{ ref('int_backlog__values') }} as {{ side }}_values
    on {{ side }}_values.field_key = changes.field_key
    and {{ side }}_values.scope_id = changes.scope_id
    and {{ side }}_values.text = changes.{{ side }}_text
left join {{ ref('int_backlog__objects') }} as {{ side }}_objects
    on {{ side }}_objects.field_key = changes.field_key
    and {{ side }}_objects.scope_id = changes.scope_id
    and {{ side }}_objects.object_id = changes.{{ side }}_exact_id
{%- endfor %}
left join {{ ref('int_backlog__objects') }} as people
    on people.field_key = 'assigner' and people.object_id = cast(changes.changed_by_id as {{ dbt.type_string() }})
