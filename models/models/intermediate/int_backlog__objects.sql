-- The latest name of everything that an issue can point to.
select field_key, scope_id, object_id, name
from (
    select
        *,
        row_number() over (
            partition by field_key, scope_id, object_id
            order by is_current desc, guess, case when seen_at is null then 1 else 0 end, seen_at desc, name
        ) as place
    from {{ ref('int_backlog__known_names') }}
) as ranked
where place = 1
