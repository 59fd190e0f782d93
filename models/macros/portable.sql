{#- What the databases write differently. Columns of the connector are never quoted, so that both DuckDB's
    `issuekey` and Snowflake's `ISSUEKEY` are found. -#}

{#- A text inside a JSON column; `path` is a list of names. -#}
{% macro json_text(column, path) %}{{ return(adapter.dispatch('json_text', 'backlog')(column, path)) }}{% endmacro %}

{% macro default__json_text(column, path) %}json_extract_string({{ column }}, '$.{{ path | join(".") }}'){% endmacro %}

{% macro snowflake__json_text(column, path) %}{{ column }}:{% for name in path %}"{{ name }}"{{ "." if not loop.last }}{% endfor %}::varchar{% endmacro %}

{#- The day, in the time zone of the project's variable, of a time stamp in UTC without a time zone. -#}
{% macro local_date(stamp) %}{{ return(adapter.dispatch('local_date', 'backlog')(stamp)) }}{% endmacro %}

{% macro default__local_date(stamp) %}cast(timezone('{{ var("backlog_timezone") }}', timezone('UTC', {{ stamp }})) as date){% endmacro %}

{% macro snowflake__local_date(stamp) %}cast(convert_timezone('UTC', '{{ var("backlog_timezone") }}', {{ stamp }}) as date){% endmacro %}

{#- The Monday of the week of a day. -#}
{% macro week_of(day) %}{{ return(adapter.dispatch('week_of', 'backlog')(day)) }}{% endmacro %}

{% macro default__week_of(day) %}cast(date_trunc('week', {{ day }}) as date){% endmacro %}

{#- Whatever WEEK_START is set to. -#}
{% macro snowflake__week_of(day) %}dateadd('day', 1 - dayofweekiso({{ day }}), {{ day }}){% endmacro %}

{#- Hours between two time stamps, with fractions. -#}
{% macro hours_between(earlier, later) %}{{ dbt.datediff(earlier, later, "second") }} / 3600.0{% endmacro %}
