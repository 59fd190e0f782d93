{#- The rows of a table of the connector, with the columns that a model needs.

    `columns` is a list of [column, kind] or [column, kind, name]; the kinds are those of `cast_column`.
    A column that the table does not have (an older connector) is null. A table that is not there (its stream was not
    synced), or whose switch is off, has no rows: a line says so, and what is made of it is empty. -#}
{% macro read_source(table, columns, switch=none) %}
    {%- set relation = source('backlog', table) -%}
    {%- set found = {} -%}
    {%- if execute and (switch is none or var(switch, true)) -%}
        {%- set there = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
        {%- if there is none -%}
            {%- do log("backlog: there is no table " ~ relation ~ ": what is made of it is empty.", info=true) -%}
        {%- else -%}
            {%- for column in adapter.get_columns_in_relation(there) -%}
                {%- do found.update({column.name | lower: column.dtype | lower}) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    select
    {%- for column in columns %}
        {% set type = found.get(column[0]) -%}
        {{ backlog.no_value(column[1]) if type is none else backlog.cast_column(column[0], column[1], type) }}
        {%- set name = column[2] if column | length > 2 else column[0] %} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    {% if found -%}
    from {{ relation }}
    {%- else -%}
    from (select 1 as nothing) as nothing
    where 1 = 0
    {%- endif %}
{%- endmacro %}

{#- All columns of a table whose columns are not known here; one empty column where it is not there. -#}
{% macro whole_source(table) %}
    {%- set relation = source('backlog', table) -%}
    {%- set there = adapter.get_relation(relation.database, relation.schema, relation.identifier) if execute else none -%}
    {%- if there is not none -%}
    select * from {{ relation }}
    {%- else -%}
        {%- if execute -%}
            {%- do log("backlog: there is no table " ~ relation ~ ": what is made of it is empty.", info=true) -%}
        {%- endif -%}
    select cast(null as {{ dbt.type_string() }}) as stream from (select 1 as nothing) as nothing where 1 = 0
    {%- endif %}
{%- endmacro %}
