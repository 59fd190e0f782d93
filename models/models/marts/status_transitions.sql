-- One row per status that an issue has entered, from its creation (sequence 0) on.
with entries as (
    select
        *,
        lag(value) over (partition by issue_id order by sequence) as from_status,
        lag(value_id) over (partition by issue_id order by sequence) as from_status_id
    from {{ ref('issue_field_history') }}
    where field_key = 'status'
)

select
    entries.issue_id,
    issues.issue_key,
    issues.project_id,
    row_number() over (partition by entries.issue_id order by entries.sequence) - 1 as sequence,
    cast(entries.from_status_id as {{ dbt.type_bigint() }}) as from_status_id,
    entries.from_status,
    cast(entries.value_id as {{ dbt.type_bigint() }}) as to_status_id,
    entries.value as to_status,
    entries.recorded_value as to_status_then,
    entries.valid_from as entered_at,
    entries.valid_to as left_at,
    {{ backlog.hours_between('entries.valid_from', 'entries.valid_to') }} as hours_in_status,
    entries.changed_by_id,
    entries.changed_by,
    entries.origin,
    entries.is_inferred
from entries
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = entries.issue_id
-- A move that left the status as it was is no transition.
where entries.origin <> 'moved'
    or entries.value_id <> entries.from_status_id
    or entries.value_id is null
    or entries.from_status_id is null
