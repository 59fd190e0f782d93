select milestone_id, day
from {{ ref('burndown') }}
where open_issues > scope_issues or open_issues < 0 or open_hours > scope_hours
