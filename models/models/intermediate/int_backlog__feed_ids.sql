-- What the activity feed knows and the change log of a comment does not: ids of statuses and resolutions.
with told as (
    select
        {{ backlog.json_text('content', ['comment', 'id']) }} as comment_id,
        {{ backlog.json_part('content', ['changes']) }} as changes
    from {{ ref('stg_backlog__activities') }}
    where type_id in (2, 3, 35)
    union all
    -- Of several issues at once.
    select
        {{ backlog.json_text(backlog.json_element('link'), ['comment', 'id']) }} as comment_id,
        {{ backlog.json_part('activities.content', ['changes']) }} as changes
    from {{ ref('stg_backlog__activities') }} as activities
    {{ backlog.json_elements(backlog.json_part('activities.content', ['link']), 'link') }}
    where activities.type_id in (14, 35)
),

ids as (
    select
        told.comment_id,
        {{ backlog.json_text(backlog.json_element('change'), ['field']) }} as field,
        nullif({{ backlog.json_text(backlog.json_element('change'), ['old_value']) }}, '') as old_id,
        nullif({{ backlog.json_text(backlog.json_element('change'), ['new_value']) }}, '') as new_id
    from told
    {{ backlog.json_elements('told.changes', 'change') }}
    where told.comment_id is not null
)

select
    cast(comment_id as {{ dbt.type_bigint() }}) as comment_id,
    field,
    -- Some servers write names.
    max(case when {{ backlog.is_whole('old_id') }} then old_id end) as old_id,
    max(case when {{ backlog.is_whole('new_id') }} then new_id end) as new_id
from ids
where field in ('status', 'resolution')
group by 1, 2
