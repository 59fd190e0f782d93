-- A warning: what the last sync could not read although it should. The next one tries again.
{{ config(enabled=var('using_coverage', true), severity='warn') }}
select stream, project_id, project_key, read_at, reason, skipped
from {{ ref('coverage') }}
where reason in ('failed', 'refused')
