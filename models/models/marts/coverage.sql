-- What the last sync has read of each stream and project, and whether the tables hold what Backlog counted then.
-- Empty where `sync_coverage` was not synced. What may be compared, and why so, is in DECISIONLOG.md.
{{ config(enabled=var('using_coverage', true)) }}
{%- set families = {'issues': 'issue'} %}
{%- for stream in ('wikis', 'documents', 'pull_requests') if var('using_' ~ stream, true) %}
    {%- do families.update({stream: stream[:-1]}) %}
{%- endfor %}
with told as (
    {{ backlog.read_source('sync_coverage', [
        ['stream', 'text'],
        ['projectid', 'integer', 'project_id'],
        ['projectkey', 'text', 'project_key'],
        ['readat', 'moment', 'read_at'],
        ['rows', 'integer', 'rows_given'],
        ['total', 'integer', 'total_then'],
        ['complete', 'boolean', 'is_complete'],
        ['skipped', 'json'],
        ['reason', 'text'],
        ['seenuntil', 'text', 'seen_until']
    ]) }}
),

-- Whoever appends the rows of each sync has several of a place.
latest as (
    select
        told.*,
        row_number() over (partition by stream, project_id order by read_at desc) as newest
    from told
),

gone as (
    select entity, entity_id, project_id, max(deleted_at) as deleted_at
    from {{ ref('stg_backlog__deletions') }}
    group by entity, entity_id, project_id
),

held as (
    {%- for stream, entity in families.items() %}
    {{ 'union all ' if not loop.first }}select '{{ stream }}' as stream, '{{ entity }}' as entity, {{ stream }}.*
    from (
        {{ backlog.read_source(stream, [
            ['id', 'text', 'object_id'],
            ['projectid', 'integer', 'project_id'],
            ['updated', 'moment', 'updated_at']
        ]) }}
    ) as {{ stream }}
    {%- endfor %}
),

-- A document that was taken out of the trash again has changed since.
present as (
    select held.stream, held.project_id, count(*) as rows_now
    from held
    left join gone
        on gone.entity = held.entity and gone.entity_id = held.object_id and gone.deleted_at >= held.updated_at
    where gone.entity_id is null
    group by held.stream, held.project_id
),

since as (
    select latest.stream, latest.project_id, count(*) as deleted_since
    from latest
    inner join gone on gone.project_id = latest.project_id and gone.deleted_at >= latest.read_at
    where
        latest.newest = 1
        and gone.entity = case latest.stream
            {%- for stream, entity in families.items() %} when '{{ stream }}' then '{{ entity }}'{% endfor %} end
    group by latest.stream, latest.project_id
),

compared as (
    select
        latest.*,
        latest.total_then is not null and latest.stream in ('{{ families | join("', '") }}') as is_comparable,
        coalesce(present.rows_now, 0) as rows_now,
        coalesce(since.deleted_since, 0) as deleted_since
    from latest
    left join present on present.stream = latest.stream and present.project_id = latest.project_id
    left join since on since.stream = latest.stream and since.project_id = latest.project_id
    where latest.newest = 1
)

select
    stream,
    project_id,
    project_key,
    read_at,
    is_complete,
    reason,
    rows_given,
    total_then,
    case when is_comparable then rows_now end as rows_now,
    case when is_comparable then deleted_since end as deleted_since,
    case when is_comparable then rows_now + deleted_since - total_then end as difference,
    case when is_comparable then greatest(total_then - deleted_since - rows_now, 0) end as missing,
    skipped,
    seen_until
from compared
