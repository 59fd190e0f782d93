-- Every day from the first issue to a year after the last day known (milestones end in the future): at most 20,000.
with digits as (
    {% for digit in range(10) %}select {{ digit }} as digit{{ " union all " if not loop.last }}{% endfor %}
),

numbers as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * tenthousands.digit as number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join (select 0 as digit union all select 1) as tenthousands
),

span as (
    select
        coalesce(min({{ backlog.local_date('created_at') }}), max(as_of.as_of_day)) as first_day,
        {{ backlog.days_later('max(as_of.as_of_day)', 365) }} as last_day
    from {{ ref('stg_backlog__as_of') }} as as_of
    left join {{ ref('stg_backlog__issues') }} as issues on 1 = 1
),

milestones as (
    select min(start_date) as first_day, max(release_due_date) as last_day from {{ ref('stg_backlog__versions') }}
),

ends as (
    select
        least(span.first_day, coalesce(milestones.first_day, span.first_day)) as first_day,
        greatest(span.last_day, coalesce(milestones.last_day, span.last_day)) as last_day
    from span
    cross join milestones
)

select {{ backlog.days_later('ends.first_day', 'numbers.number') }} as day
from numbers
cross join ends
where {{ backlog.days_later('ends.first_day', 'numbers.number') }} <= ends.last_day
