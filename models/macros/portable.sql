{#- What the databases write differently. Columns of the connector are never quoted, so that both DuckDB's
    `issuekey` and Snowflake's `ISSUEKEY` are found. -#}

{#- The moment in the time zone of the project's variable, of a moment in UTC. -#}
{% macro local_time(moment) %}{{ return(adapter.dispatch('local_time', 'backlog')(moment)) }}{% endmacro %}
{% macro default__local_time(moment) %}(({{ moment }}) at time zone 'UTC' at time zone '{{ var("backlog_timezone") }}'){% endmacro %}
{% macro snowflake__local_time(moment) %}convert_timezone('UTC', '{{ var("backlog_timezone") }}', {{ moment }}){% endmacro %}
{% macro bigquery__local_time(moment) %}datetime({{ moment }}, '{{ var("backlog_timezone") }}'){% endmacro %}

{#- The day of a moment in that time zone. -#}
{% macro local_date(moment) %}cast({{ backlog.local_time(moment) }} as date){% endmacro %}

{#- The Monday of the week of a day. -#}
{% macro week_of(day) %}{{ return(adapter.dispatch('week_of', 'backlog')(day)) }}{% endmacro %}
{% macro default__week_of(day) %}cast(date_trunc('week', {{ day }}) as date){% endmacro %}
{#- Whatever WEEK_START is set to. -#}
{% macro snowflake__week_of(day) %}dateadd('day', 1 - dayofweekiso({{ day }}), {{ day }}){% endmacro %}
{% macro bigquery__week_of(day) %}date_trunc({{ day }}, isoweek){% endmacro %}

{#- The first day of the month of a day. -#}
{% macro month_of(day) %}{{ return(adapter.dispatch('month_of', 'backlog')(day)) }}{% endmacro %}
{% macro default__month_of(day) %}cast(date_trunc('month', {{ day }}) as date){% endmacro %}
{% macro bigquery__month_of(day) %}date_trunc({{ day }}, month){% endmacro %}

{#- A day that is a number of days later. -#}
{% macro days_later(day, number) %}{{ return(adapter.dispatch('days_later', 'backlog')(day, number)) }}{% endmacro %}
{% macro default__days_later(day, number) %}({{ day }} + cast({{ number }} as integer)){% endmacro %}
{% macro snowflake__days_later(day, number) %}dateadd('day', {{ number }}, {{ day }}){% endmacro %}
{% macro bigquery__days_later(day, number) %}date_add({{ day }}, interval {{ number }} day){% endmacro %}

{#- Days from a day to another one. -#}
{% macro days_between(earlier, later) %}{{ return(adapter.dispatch('days_between', 'backlog')(earlier, later)) }}{% endmacro %}
{% macro default__days_between(earlier, later) %}({{ later }} - {{ earlier }}){% endmacro %}
{% macro snowflake__days_between(earlier, later) %}datediff('day', {{ earlier }}, {{ later }}){% endmacro %}
{% macro bigquery__days_between(earlier, later) %}date_diff({{ later }}, {{ earlier }}, day){% endmacro %}

{#- Hours between two moments, with fractions. -#}
{% macro hours_between(earlier, later) %}{{ return(adapter.dispatch('hours_between', 'backlog')(earlier, later)) }}{% endmacro %}
{% macro default__hours_between(earlier, later) %}(cast(extract(epoch from ({{ later }} - {{ earlier }})) as double precision) / 3600.0){% endmacro %}
{% macro snowflake__hours_between(earlier, later) %}(datediff('second', {{ earlier }}, {{ later }}) / 3600.0){% endmacro %}
{% macro bigquery__hours_between(earlier, later) %}(timestamp_diff({{ later }}, {{ earlier }}, second) / 3600.0){% endmacro %}

{#- Where a text stands in another one, from 1; 0 if it does not. -#}
{% macro position_of(part, text) %}{{ return(adapter.dispatch('position_of', 'backlog')(part, text)) }}{% endmacro %}
{% macro default__position_of(part, text) %}strpos({{ text }}, {{ part }}){% endmacro %}
{% macro snowflake__position_of(part, text) %}charindex({{ part }}, {{ text }}){% endmacro %}

{#- Whether a text is a whole number. -#}
{% macro is_whole(text) %}{{ return(adapter.dispatch('is_whole', 'backlog')(text)) }}{% endmacro %}
{% macro default__is_whole(text) %}({{ text }} ~ '^[0-9]+$'){% endmacro %}
{% macro duckdb__is_whole(text) %}regexp_matches({{ text }}, '^[0-9]+$'){% endmacro %}
{% macro snowflake__is_whole(text) %}regexp_like({{ text }}, '^[0-9]+$'){% endmacro %}
{% macro bigquery__is_whole(text) %}regexp_contains({{ text }}, r'^[0-9]+$'){% endmacro %}

{#- A text as a number or a day; null if it is none. -#}
{% macro to_number_or_null(text) %}{{ return(adapter.dispatch('to_number_or_null', 'backlog')(text)) }}{% endmacro %}
{% macro default__to_number_or_null(text) %}try_cast({{ text }} as {{ backlog.type_double() }}){% endmacro %}
{% macro postgres__to_number_or_null(text) %}case when {{ text }} ~ '^-?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$' then cast({{ text }} as double precision) end{% endmacro %}
{% macro bigquery__to_number_or_null(text) %}safe_cast({{ text }} as float64){% endmacro %}

{% macro to_day_or_null(text) %}{{ return(adapter.dispatch('to_day_or_null', 'backlog')(text)) }}{% endmacro %}
{% macro default__to_day_or_null(text) %}try_cast(replace(substr({{ text }}, 1, 10), '/', '-') as date){% endmacro %}
{% macro postgres__to_day_or_null(text) %}case when {{ text }} ~ '^[0-9]{4}[-/](0[1-9]|1[0-2])[-/](0[1-9]|[12][0-9]|3[01])' then cast(substr({{ text }}, 1, 10) as date) end{% endmacro %}
{% macro bigquery__to_day_or_null(text) %}safe_cast(replace(substr({{ text }}, 1, 10), '/', '-') as date){% endmacro %}

{#- A number made of a text, of which sums can be built: equal sums mean, as good as surely, equal rows. -#}
{% macro digest(text) %}{{ return(adapter.dispatch('digest', 'backlog')(text)) }}{% endmacro %}
{% macro default__digest(text) %}cast(hash({{ text }}) % 1000000007 as bigint){% endmacro %}
{% macro postgres__digest(text) %}(hashtextextended({{ text }}, 0) % 1000000007){% endmacro %}
{% macro snowflake__digest(text) %}mod(hash({{ text }}), 1000000007){% endmacro %}
{% macro bigquery__digest(text) %}mod(farm_fingerprint({{ text }}), 1000000007){% endmacro %}

{#- How a table is kept up: only what has changed, where one statement can replace all rows of an issue. -#}
{% macro kept_up() %}{{ return(adapter.dispatch('kept_up', 'backlog')()) }}{% endmacro %}
{% macro default__kept_up() %}{{ return('incremental') }}{% endmacro %}
{% macro bigquery__kept_up() %}{{ return('table') }}{% endmacro %}

{#- The latest of three moments, of which the first is never null. -#}
{% macro latest_of(first, second, third) %}greatest({{ first }}, coalesce({{ second }}, {{ first }}), coalesce({{ third }}, {{ first }})){% endmacro %}

{#- Decimal numbers without the noise of binary ones: 0.1 + 0.2 is 0.3, in any order of the rows. -#}
{% macro type_exact() %}{{ return(adapter.dispatch('type_exact', 'backlog')()) }}{% endmacro %}
{% macro default__type_exact() %}numeric(30, 12){% endmacro %}
{% macro bigquery__type_exact() %}bignumeric{% endmacro %}

{% macro exact(number) %}cast(round(cast({{ number }} as {{ backlog.type_exact() }}), 9) as {{ backlog.type_double() }}){% endmacro %}

{% macro exact_sum(number) %}cast(round(sum(cast({{ number }} as {{ backlog.type_exact() }})), 9) as {{ backlog.type_double() }}){% endmacro %}

{#- The rows of two queries, each once. -#}
{% macro union_distinct() %}{{ return(adapter.dispatch('union_distinct', 'backlog')()) }}{% endmacro %}
{% macro default__union_distinct() %}union{% endmacro %}
{% macro bigquery__union_distinct() %}union distinct{% endmacro %}

{#- Before a model is built. PostgreSQL would compile its queries, whose sizes it misjudges, for longer than they run. -#}
{% macro before_a_model() %}{{ return(adapter.dispatch('before_a_model', 'backlog')()) }}{% endmacro %}
{% macro default__before_a_model() %}{% endmacro %}
{% macro postgres__before_a_model() %}set local jit = off{% endmacro %}

{#- After a table is built. PostgreSQL would know nothing of its size for minutes, and join it row by row. -#}
{% macro after_a_table() %}{{ return(adapter.dispatch('after_a_table', 'backlog')()) }}{% endmacro %}
{% macro default__after_a_table() %}{% endmacro %}
{% macro postgres__after_a_table() %}analyze {{ this }}{% endmacro %}
