-- A warning, never a failure: statuses of the past whose ids no table knows, most often because they were deleted before
-- the first sync, or renamed where the activity feed does not reach. Their ids are null in every model.
{{ config(severity='warn') }}
select project_id, to_status_then as status, count(*) as transitions
from {{ ref('status_transitions') }}
where to_status_id is null
group by project_id, to_status_then
