{#- Looking into JSON. `path` is a list of names. -#}

{#- A text. -#}
{% macro json_text(column, path) %}{{ return(adapter.dispatch('json_text', 'backlog')(column, path)) }}{% endmacro %}
{% macro default__json_text(column, path) %}json_extract_string({{ column }}, '$.{{ path | join(".") }}'){% endmacro %}
{% macro postgres__json_text(column, path) %}({{ column }} #>> '{{ "{" }}{{ path | join(",") }}{{ "}" }}'){% endmacro %}
{% macro snowflake__json_text(column, path) %}cast(get_path({{ column }}, '{{ path | join(".") }}') as varchar){% endmacro %}
{% macro bigquery__json_text(column, path) %}json_value({{ column }}, '$.{{ path | join(".") }}'){% endmacro %}

{#- An object or a list, still as JSON. -#}
{% macro json_part(column, path) %}{{ return(adapter.dispatch('json_part', 'backlog')(column, path)) }}{% endmacro %}
{% macro default__json_part(column, path) %}json_extract({{ column }}, '$.{{ path | join(".") }}'){% endmacro %}
{% macro postgres__json_part(column, path) %}({{ column }} #> '{{ "{" }}{{ path | join(",") }}{{ "}" }}'){% endmacro %}
{% macro snowflake__json_part(column, path) %}get_path({{ column }}, '{{ path | join(".") }}'){% endmacro %}
{% macro bigquery__json_part(column, path) %}json_query({{ column }}, '$.{{ path | join(".") }}'){% endmacro %}

{#- A join with the elements of a list; `json_element(alias)` is the element. What is no list has no elements. -#}
{% macro json_elements(list, alias) %}{{ return(adapter.dispatch('json_elements', 'backlog')(list, alias)) }}{% endmacro %}
{% macro default__json_elements(list, alias) %}
    cross join lateral (select unnest(json_extract({{ list }}, '$[*]')) as element) as {{ alias }}
{%- endmacro %}
{% macro postgres__json_elements(list, alias) %}
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof({{ list }}) = 'array' then {{ list }} else cast('[]' as jsonb) end
    ) as {{ alias }}(element)
{%- endmacro %}
{% macro snowflake__json_elements(list, alias) %}
    cross join lateral flatten(input => {{ list }}) as {{ alias }}
{%- endmacro %}
{% macro bigquery__json_elements(list, alias) %}cross join unnest(json_query_array({{ list }})) as {{ alias }}{% endmacro %}

{% macro json_element(alias) %}{{ return(adapter.dispatch('json_element', 'backlog')(alias)) }}{% endmacro %}
{% macro default__json_element(alias) %}{{ alias }}.element{% endmacro %}
{% macro snowflake__json_element(alias) %}{{ alias }}.value{% endmacro %}
{% macro bigquery__json_element(alias) %}{{ alias }}{% endmacro %}

{#- A JSON value itself as a text, without quotes. -#}
{% macro json_itself(value) %}{{ return(adapter.dispatch('json_itself', 'backlog')(value)) }}{% endmacro %}
{% macro default__json_itself(value) %}json_extract_string({{ value }}, '$'){% endmacro %}
{% macro postgres__json_itself(value) %}({{ value }} #>> '{{ "{}" }}'){% endmacro %}
{% macro snowflake__json_itself(value) %}cast({{ value }} as varchar){% endmacro %}
{% macro bigquery__json_itself(value) %}json_value({{ value }}){% endmacro %}

{#- A JSON value as it is written. -#}
{% macro json_as_text(value) %}{{ return(adapter.dispatch('json_as_text', 'backlog')(value)) }}{% endmacro %}
{% macro default__json_as_text(value) %}cast({{ value }} as {{ dbt.type_string() }}){% endmacro %}
{% macro bigquery__json_as_text(value) %}to_json_string({{ value }}){% endmacro %}
