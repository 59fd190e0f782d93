{#- The rows of a table of the connector, with the columns that a model needs.

    `columns` is a list of [column, kind] or [column, kind, name]; the kinds are those of `cast_column`.
    A column that the table does not have (an older connector) is null. A table that is not there (its stream was not
    synced), or whose switch is off, has no rows: a line says so, and what is made of it is empty. -#}
{% macro read_source(table, columns, switch=none) %}
    {%- set relation = source('backlog', table) -%}
    {%- set found = {} -%}
    {#- What some databases take for a word of theirs, as they write it themselves. -#}
    {%- set written = {} -%}
    {%- if execute and (switch is none or var(switch, true)) -%}
        {%- set there = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
        {%- if there is none -%}
            {%- do log("backlog: there is no table " ~ relation ~ ": what is made of it is empty.", info=true) -%}
        {%- else -%}
            {%- for column in adapter.get_columns_in_relation(there) -%}
                {%- do found.update({column.name | lower: column.dtype | lower}) -%}
                {%- if column.name | lower == 'rows' -%}
                    {%- do written.update({'rows': adapter.quote(column.name)}) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    select
    {%- for column in columns %}
        {% set type = found.get(column[0]) -%}
        {{ backlog.no_value(column[1]) if type is none else backlog.cast_column(written.get(column[0], column[0]), column[1], type) }}
        {%- set name = column[2] if column | length > 2 else column[0] %} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    {% if found -%}
    from {{ relation }}
    {%- else -%}
    from (select 1 as nothing) as nothing
    where 1 = 0
    {%- endif %}
{%- endmacro %}
