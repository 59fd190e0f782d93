-- One row per status that an issue has entered, from its creation (sequence 0) on.
with intervals as (
    select
        *,
        lag(value) over (partition by issue_id order by sequence) as from_status,
        lag(value_id) over (partition by issue_id order by sequence) as from_status_id,
        max(case when valid_to is null then 1 else 0 end) over (partition by issue_id) as is_there,
        max(valid_to) over (partition by issue_id) as ended_at
    from {{ ref('issue_field_history') }}
    where field_key = 'status'
),

entries as (
    select
        *,
        lead(valid_from) over (partition by issue_id order by sequence) as next_at
    from intervals
    -- A move that left the status as it was is no transition.
    where origin <> 'moved' or value_id <> from_status_id or value <> from_status or value is null or from_status is null
),

ended as (
    select
        *,
        -- The last one ends with the issue.
        coalesce(next_at, case when is_there = 0 then ended_at end) as left_at
    from entries
)

select
    ended.issue_id,
    issues.issue_key,
    issues.project_id,
    row_number() over (partition by ended.issue_id order by ended.sequence) - 1 as sequence,
    cast(ended.from_status_id as {{ dbt.type_bigint() }}) as from_status_id,
    ended.from_status,
    cast(ended.value_id as {{ dbt.type_bigint() }}) as to_status_id,
    ended.value as to_status,
    ended.recorded_value as to_status_then,
    ended.valid_from as entered_at,
    ended.left_at,
    {{ backlog.hours_between('ended.valid_from', 'ended.left_at') }} as hours_in_status,
    ended.changed_by_id,
    ended.changed_by,
    ended.origin,
    ended.is_inferred
from ended
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = ended.issue_id
