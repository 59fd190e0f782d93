-- What was left to do at the end of each day. The ideal line takes the scope of each day, then the latest one.
select
    milestone_id,
    milestone,
    project_id,
    day,
    scope_issues,
    scope_issues - done_issues as open_issues,
    scope_hours,
    {{ backlog.exact('scope_hours - done_hours') }} as open_hours,
    {%- for what in ('issues', 'hours') %}
    case
        when start_date < release_due_date and day between start_date and release_due_date
            then case when is_known then scope_{{ what }} else coalesce(latest_scope_{{ what }}, 0) end
                * {{ backlog.days_between('day', 'release_due_date') }}
                * 1.0 / {{ backlog.days_between('start_date', 'release_due_date') }}
    end as ideal_{{ what }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ ref('int_backlog__milestone_days') }}
