select issue_id from {{ ref('issue_lead_times') }}
where lead_hours < 0 or cycle_hours < 0 or cycle_hours > lead_hours
union all
select issue_id from {{ ref('issue_status_transitions') }} where hours_in_status < 0
