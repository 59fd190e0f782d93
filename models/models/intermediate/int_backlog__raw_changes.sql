-- The changes of fields that have a value, with the project in which the issue was then.
with changes as (
    select
        changes.*,
        case
            when changes.custom_field_id is null then changes.field
            else 'cf:' || cast(changes.custom_field_id as {{ dbt.type_string() }})
        end as field_key
    from {{ ref('stg_backlog__issue_changelogs') }} as changes
    inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = changes.issue_id
    where changes.custom_field_id is not null or changes.field in (
        {%- for field in backlog.fields() %}'{{ field }}'{{ ", " if not loop.last }}{% endfor -%}
    )
),

moves as (
    select issue_id, changed_at, comment_id, {{ dbt.split_part('old_value', "'-'", 1) }} as project_key
    from changes
    where field_key = 'issueKey'
),

-- Before a move the issue was in the project of its old key.
placed as (
    select
        changes.comment_id,
        changes.place,
        keys.project_id,
        row_number() over (
            partition by changes.comment_id, changes.place order by moves.changed_at, moves.comment_id
        ) as turn
    from changes
    inner join moves
        on moves.issue_id = changes.issue_id
        and (
            moves.changed_at > changes.changed_at
            or (moves.changed_at = changes.changed_at and moves.comment_id > changes.comment_id)
        )
    left join {{ ref('int_backlog__project_keys') }} as keys on keys.project_key = moves.project_key
)

select
    changes.issue_id,
    -- Unknown where the key of that project is not known any more.
    case when placed.comment_id is null then issues.project_id else placed.project_id end as project_id,
    changes.field_key,
    changes.field,
    changes.custom_field_id,
    changes.comment_id,
    changes.place,
    changes.changed_at,
    changes.changed_by_id,
    changes.changed_by_name,
    -- No value is null in newer rows, an empty text in old ones.
    nullif(changes.old_value, '') as old_text,
    nullif(changes.new_value, '') as new_text,
    case when nullif(changes.old_value, '') is not null then coalesce(nullif(changes.old_id, ''), feed.old_id) end as old_exact_id,
    case when nullif(changes.new_value, '') is not null then coalesce(nullif(changes.new_id, ''), feed.new_id) end as new_exact_id
from changes
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = changes.issue_id
left join placed on placed.comment_id = changes.comment_id and placed.place = changes.place and placed.turn = 1
left join {{ ref('int_backlog__feed_ids') }} as feed
    on feed.comment_id = changes.comment_id and feed.field = changes.field_key
