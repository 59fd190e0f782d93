-- Between its first and its last day an issue has a status on each.
select issue_id
from {{ ref('issue_daily_status') }}
group by issue_id
having count(*) <> {{ dbt.datediff('min(day)', 'max(day)', 'day') }} + 1
