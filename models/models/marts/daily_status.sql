{#- The status of every issue at the end of every day that is known, until the day on which it was closed.

    Of an issue whose history is as it was, only the days since the last build are added. -#}
{{ config(
    materialized=backlog.kept_up(), incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ backlog.forget_issues_that_changed() }}"
) }}
with spans as (
    select
        spans.issue_id,
        spans.project_id,
        spans.status_id,
        spans.status,
        fingerprints.fingerprint,
        {%- if is_incremental() %}
        greatest(spans.first_day, coalesce({{ backlog.days_later('built.last_day', 1) }}, spans.first_day)) as first_day,
        {%- else %}
        spans.first_day,
        {%- endif %}
        coalesce(spans.last_day, as_of.as_of_day) as last_day
    from {{ ref('int_backlog__status_days') }} as spans
    inner join {{ ref('int_backlog__fingerprints') }} as fingerprints on fingerprints.issue_id = spans.issue_id
    cross join {{ ref('stg_backlog__as_of') }} as as_of
    {%- if is_incremental() %}
    left join (
        select issue_id, max(day) as last_day from {{ this }} group by issue_id
    ) as built on built.issue_id = spans.issue_id
    {%- endif %}
)

select
    days.day,
    spans.issue_id,
    spans.project_id,
    spans.status_id,
    spans.status,
    spans.fingerprint
from spans
inner join {{ ref('int_backlog__days') }} as days on days.day between spans.first_day and spans.last_day
-- Days are compared with each span: with few where most issues are as they were.
where spans.first_day <= spans.last_day
