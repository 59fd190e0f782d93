select issue_id, day
from {{ ref('issue_daily_status') }}
group by issue_id, day
having count(*) > 1
