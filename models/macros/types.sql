{#- What the databases call their types. -#}

{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'backlog')()) }}{% endmacro %}
{% macro default__type_double() %}double precision{% endmacro %}
{% macro snowflake__type_double() %}float{% endmacro %}
{% macro bigquery__type_double() %}float64{% endmacro %}

{% macro type_json() %}{{ return(adapter.dispatch('type_json', 'backlog')()) }}{% endmacro %}
{% macro default__type_json() %}json{% endmacro %}
{% macro postgres__type_json() %}jsonb{% endmacro %}
{% macro snowflake__type_json() %}variant{% endmacro %}

{#- A moment in UTC; without a time zone but in BigQuery, whose `timestamp` is one of UTC. -#}
{% macro type_moment() %}{{ return(adapter.dispatch('type_moment', 'backlog')()) }}{% endmacro %}
{% macro default__type_moment() %}timestamp{% endmacro %}
{% macro snowflake__type_moment() %}timestamp_ntz{% endmacro %}

{#- A text that is JSON, as JSON. -#}
{% macro as_json(column, type) %}{{ return(adapter.dispatch('as_json', 'backlog')(column, type)) }}{% endmacro %}
{% macro default__as_json(column, type) %}cast({{ column }} as {{ backlog.type_json() }}){% endmacro %}
{% macro snowflake__as_json(column, type) %}
    {%- if 'char' in type or 'text' in type %}parse_json({{ column }}){% else %}{{ column }}{% endif %}
{%- endmacro %}
{% macro bigquery__as_json(column, type) %}
    {%- if 'string' in type %}parse_json({{ column }}){% else %}{{ column }}{% endif %}
{%- endmacro %}

{#- A time stamp of any type as a moment. Those without a time zone are in UTC. -#}
{% macro as_moment(column, type) %}{{ return(adapter.dispatch('as_moment', 'backlog')(column, type)) }}{% endmacro %}
{% macro default__as_moment(column, type) %}
    {%- if ('tz' in type and 'ntz' not in type) or 'with time zone' in type -%}
        ({{ column }} at time zone 'UTC')
    {%- elif 'char' in type or 'text' in type -%}
        (cast({{ column }} as timestamp with time zone) at time zone 'UTC')
    {%- else -%}
        cast({{ column }} as timestamp)
    {%- endif -%}
{% endmacro %}
{% macro snowflake__as_moment(column, type) %}
    {%- if 'char' in type or 'text' in type -%}
        cast(convert_timezone('UTC', cast({{ column }} as timestamp_tz)) as timestamp_ntz)
    {%- elif 'ntz' in type or type == 'date' -%}
        cast({{ column }} as timestamp_ntz)
    {%- else -%}
        cast(convert_timezone('UTC', {{ column }}) as timestamp_ntz)
    {%- endif -%}
{% endmacro %}
{% macro bigquery__as_moment(column, type) %}cast({{ column }} as timestamp){% endmacro %}

{% macro cast_column(column, kind, type) %}
    {%- if kind == 'integer' %}cast({{ column }} as {{ dbt.type_bigint() }})
    {%- elif kind == 'number' %}cast({{ column }} as {{ backlog.type_double() }})
    {%- elif kind == 'boolean' %}cast({{ column }} as {{ dbt.type_boolean() }})
    {%- elif kind == 'json' %}{{ backlog.as_json(column, type) }}
    {%- elif kind == 'moment' %}{{ backlog.as_moment(column, type) }}
    {%- elif kind == 'day' and type == 'date' %}{{ column }}
    {%- elif kind == 'day' %}cast({{ backlog.as_moment(column, type) }} as date)
    {%- else %}cast({{ column }} as {{ dbt.type_string() }})
    {%- endif %}
{%- endmacro %}

{% macro no_value(kind) %}
    {%- set types = {
        'integer': dbt.type_bigint(), 'number': backlog.type_double(), 'boolean': dbt.type_boolean(),
        'json': backlog.type_json(), 'moment': backlog.type_moment(), 'day': 'date', 'text': dbt.type_string()
    } -%}
    cast(null as {{ types[kind] }})
{%- endmacro %}
