select issue_id from {{ ref('lead_times') }}
where lead_hours < 0 or cycle_hours < 0 or cycle_hours > lead_hours or times_reopened < 0
union all
select issue_id from {{ ref('status_transitions') }} where hours_in_status < 0
