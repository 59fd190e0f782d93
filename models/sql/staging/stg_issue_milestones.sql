-- The milestones that an issue has now. A row that was read with an earlier state of the issue is out of date.
select
    milestones.issueid as issue_id,
    milestones.id as milestone_id
from {{ source('backlog', 'issue_milestones') }} as milestones
inner join {{ ref('stg_issues') }} as issues
    on issues.issue_id = milestones.issueid and issues.updated_at = milestones.issueupdated
