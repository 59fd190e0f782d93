-- One row per change of an issue's status, in the order in which they happened.
select
    changes.issueid as issue_id,
    changes.commentid as comment_id,
    row_number() over (
        partition by changes.issueid order by changes.created, changes.commentid, changes.position
    ) as sequence,
    -- For "no value" old rows have an empty text, newer ones null.
    nullif(changes.originalvalue, '') as from_status,
    nullif(changes.newvalue, '') as to_status,
    changes.created as changed_at,
    changes.createduserid as changed_by_id,
    changes.createdusername as changed_by_name
from {{ source('backlog', 'issue_changelogs') }} as changes
inner join {{ ref('stg_issues') }} as issues on issues.issue_id = changes.issueid
where changes.field = 'status'
