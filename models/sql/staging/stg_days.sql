-- Every day from the first issue to a year after the last day known (milestones end in the future): at most 10,000.
with digits as (
    {% for digit in range(10) %}select {{ digit }} as digit{{ " union all " if not loop.last }}{% endfor %}
),

numbers as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
),

first_day as (
    select least(
        (select min({{ local_date('created_at') }}) from {{ ref('stg_issues') }}),
        (select coalesce(min(cast(startdate as date)), cast('9999-12-31' as date)) from {{ source('backlog', 'versions') }})
    ) as first_day
)

select cast({{ dbt.dateadd('day', 'numbers.number', 'first_day.first_day') }} as date) as day
from numbers
cross join first_day
cross join {{ ref('stg_as_of') }} as as_of
where {{ dbt.dateadd('day', 'numbers.number', 'first_day.first_day') }} <= {{ dbt.dateadd('day', 365, 'as_of.as_of') }}
