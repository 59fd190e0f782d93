{#- The fields of an issue that have a value, as the change log calls them. What it also records without there being a
    value is left out: attachments, notifications, links to other issues. -#}
{% macro fields() %}
    {{ return([
        'issueKey', 'summary', 'description', 'status', 'resolution', 'priority', 'issueType', 'assigner', 'component',
        'version', 'milestone', 'startDate', 'limitDate', 'estimatedHours', 'actualHours', 'parentIssue'
    ]) }}
{% endmacro %}

{#- Whose objects have a name in each project of its own; names of the others are those of the space. -#}
{% macro is_of_a_project(field_key) %}{{ field_key }} in ('status', 'issueType', 'component', 'version', 'milestone'){% endmacro %}

{#- The scope of a name: the project, the custom field, or the space (0). -#}
{% macro scope_of(field_key, project_id, custom_field_id) %}
    case
        when {{ custom_field_id }} is not null then {{ custom_field_id }}
        when {{ backlog.is_of_a_project(field_key) }} then {{ project_id }}
        else 0
    end
{%- endmacro %}

{#- A number as a text that is the same in every database. -#}
{% macro number_text(number) %}regexp_replace(cast({{ number }} as {{ dbt.type_string() }}), '[.]0+$', ''){% endmacro %}

{#- Into how many parts the commas of a list of names cut it. -#}
{% macro names_in(text) %}(1 + (length({{ text }}) - length(replace({{ text }}, ', ', ''))) / 2){% endmacro %}

{#- The statuses that every project begins with: number, English and Japanese name. -#}
{% macro first_statuses() %}
    {{ return([(1, 'Open', '未対応'), (2, 'In Progress', '処理中'), (3, 'Resolved', '処理済み'), (4, 'Closed', '完了')]) }}
{% endmacro %}

{% macro is_first_status(name) %}
    {{- name }} in ({% for _, english, japanese in backlog.first_statuses() %}'{{ english }}', '{{ japanese }}'{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
