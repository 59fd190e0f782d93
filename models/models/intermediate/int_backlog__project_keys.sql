-- Which project a key means or meant: keys can be changed, and issues have the key of their project in theirs.
with seen as (
    select project_key, project_id, 1 as is_current, cast(null as {{ backlog.type_moment() }}) as seen_at
    from {{ ref('stg_backlog__projects') }}
    union all
    select project_key, project_id, 0, max(happened_at) from {{ ref('stg_backlog__activities') }} group by 1, 2
    union all
    select {{ dbt.split_part('issue_key', "'-'", 1) }}, project_id, 0, max(updated_at)
    from {{ ref('stg_backlog__issues') }}
    group by 1, 2
)

select project_key, project_id
from (
    select
        project_key,
        project_id,
        row_number() over (partition by project_key order by is_current desc, seen_at desc, project_id) as place
    from seen
    where project_key is not null and project_id is not null
) as ranked
where place = 1
