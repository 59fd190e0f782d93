-- Cumulative flow: how many issues of a project were in each status at the end of each day, and how many came and went.
with moves as (
    select
        project_id, to_status_id as status_id, to_status as status,
        {{ backlog.local_date('entered_at') }} as day, 1 as entered, 0 as gone
    from {{ ref('status_transitions') }}
    union all
    select
        project_id, to_status_id, to_status,
        {{ backlog.local_date('left_at') }}, 0, 1
    from {{ ref('status_transitions') }}
    where left_at is not null
),

per_day as (
    select
        project_id,
        status_id,
        -- Only what has no id is told apart by its name.
        case when status_id is null then status end as nameless,
        max(status) as status,
        day,
        sum(entered) as entered,
        sum(gone) as gone
    from moves
    group by project_id, status_id, case when status_id is null then status end, day
),

statuses as (
    select project_id, status_id, nameless, max(status) as status, min(day) as first_day
    from per_day
    group by project_id, status_id, nameless
),

starts as (
    select project_id, min(first_day) as first_day from statuses group by project_id
),

grid as (
    select statuses.*, days.day
    from statuses
    inner join starts on starts.project_id = statuses.project_id
    cross join {{ ref('stg_backlog__as_of') }} as as_of
    inner join {{ ref('int_backlog__days') }} as days on days.day between starts.first_day and as_of.as_of_day
)

select
    grid.project_id,
    grid.day,
    grid.status_id,
    coalesce(statuses.status, grid.status) as status,
    -- The order of the workflow; what is gone from it comes first.
    coalesce(statuses.display_order, 0) as display_order,
    coalesce(per_day.entered, 0) as entered,
    coalesce(per_day.gone, 0) as gone,
    sum(coalesce(per_day.entered, 0) - coalesce(per_day.gone, 0)) over (
        partition by grid.project_id, grid.status_id, grid.nameless
        order by grid.day
        rows between unbounded preceding and current row
    ) as issues
from grid
left join per_day
    on per_day.project_id = grid.project_id
    and coalesce(cast(per_day.status_id as {{ dbt.type_string() }}), '?' || per_day.nameless) = coalesce(cast(grid.status_id as {{ dbt.type_string() }}), '?' || grid.nameless)
    and per_day.day = grid.day
left join {{ ref('stg_backlog__statuses') }} as statuses
    on statuses.project_id = grid.project_id and statuses.status_id = grid.status_id
