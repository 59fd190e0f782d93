-- Which object a name means; none where two have or had it.
with known as (
    select
        *,
        min(guess) over (partition by field_key, scope_id, name) as best_guess
    from {{ ref('int_backlog__known_names') }}
)

select
    field_key,
    scope_id,
    name,
    case when count(*) = 1 then max(object_id) end as object_id,
    case when count(*) > 1 then 1 else 0 end as is_ambiguous
from known
where guess = best_guess
group by field_key, scope_id, name
