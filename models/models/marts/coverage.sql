-- What each sync has read and what it has left out: the table as it is. Empty where the stream was not synced.
{{ config(enabled=var('using_coverage', true)) }}
{{ backlog.whole_source('sync_coverage') }}
