-- Every change of a due date: from when to when, by whom, how far.
with entries as (
    select
        *,
        lag(value_date) over (partition by issue_id order by sequence) as due_date_before
    from {{ ref('issue_field_history') }}
    where field_key = 'limitDate'
)

select
    entries.issue_id,
    issues.issue_key,
    issues.project_id,
    entries.sequence,
    entries.valid_from as changed_at,
    {{ backlog.local_date('entries.valid_from') }} as changed_on,
    entries.changed_by_id,
    entries.changed_by,
    entries.due_date_before,
    entries.value_date as due_date_after,
    {{ backlog.days_between('entries.due_date_before', 'entries.value_date') }} as days_later,
    -- Changed when it had already passed.
    coalesce({{ backlog.local_date('entries.valid_from') }} > entries.due_date_before, false) as was_overdue
from entries
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = entries.issue_id
where entries.origin = 'changed'
