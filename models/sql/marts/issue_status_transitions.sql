with changes as (
    select * from {{ ref('stg_status_changes') }}
),

-- What an issue was created with is what its first change found, or what it still has.
beginnings as (
    select
        issues.issue_id,
        0 as sequence,
        cast(null as varchar) as from_status,
        coalesce(first_change.from_status, issues.status_name) as to_status,
        issues.created_at as entered_at,
        cast(null as bigint) as changed_by_id,
        cast(null as varchar) as changed_by_name
    from {{ ref('stg_issues') }} as issues
    left join changes as first_change on first_change.issue_id = issues.issue_id and first_change.sequence = 1
),

entries as (
    select * from beginnings
    union all
    select issue_id, sequence, from_status, to_status, changed_at, changed_by_id, changed_by_name from changes
)

select
    entries.issue_id,
    issues.issue_key,
    issues.project_id,
    entries.sequence,
    entries.from_status,
    entries.to_status,
    statuses.id as to_status_id,
    entries.entered_at,
    lead(entries.entered_at) over (partition by entries.issue_id order by entries.sequence) as left_at,
    {{ hours_between('entries.entered_at', 'lead(entries.entered_at) over (partition by entries.issue_id order by entries.sequence)') }} as hours_in_status,
    entries.changed_by_id,
    entries.changed_by_name
from entries
inner join {{ ref('stg_issues') }} as issues on issues.issue_id = entries.issue_id
-- A status that was renamed or deleted since has no id here: the history knows only its name of then.
left join {{ source('backlog', 'statuses') }} as statuses
    on statuses.projectid = issues.project_id and statuses.name = entries.to_status
