{#- The issues as they were at a moment (an SQL expression, in UTC): one row per issue that existed then.

    select * from ({{ '{{' }} backlog.issue_as_of("timestamp '2026-03-31 15:00:00'") {{ '}}' }}) as then_

    `custom_fields` is a list of ids of custom fields; each becomes a column `custom_<id>`. -#}
{% macro issue_as_of(moment, custom_fields=[]) %}
    {%- set single = [
        ('issueKey', 'value', 'issue_key'), ('issueKey', 'value_id', 'project_id'),
        ('summary', 'value', 'summary'), ('description', 'value', 'description'),
        ('status', 'value_id', 'status_id'), ('status', 'value', 'status'),
        ('resolution', 'value_id', 'resolution_id'), ('resolution', 'value', 'resolution'),
        ('priority', 'value_id', 'priority_id'), ('priority', 'value', 'priority'),
        ('issueType', 'value_id', 'issue_type_id'), ('issueType', 'value', 'issue_type'),
        ('assigner', 'value_id', 'assignee_id'), ('assigner', 'value', 'assignee'),
        ('component', 'value_id', 'category_ids'), ('component', 'value', 'categories'),
        ('version', 'value_id', 'version_ids'), ('version', 'value', 'versions'),
        ('milestone', 'value_id', 'milestone_ids'), ('milestone', 'value', 'milestones'),
        ('startDate', 'value_date', 'start_date'), ('limitDate', 'value_date', 'due_date'),
        ('estimatedHours', 'value_number', 'estimated_hours'), ('actualHours', 'value_number', 'actual_hours'),
        ('parentIssue', 'value_id', 'parent_issue_id'), ('parentIssue', 'value', 'parent_issue_key')
    ] -%}
    {%- set numbers = ['project_id', 'status_id', 'resolution_id', 'priority_id', 'issue_type_id', 'assignee_id', 'parent_issue_id'] -%}
    select
        issue_id
        {%- for field, column, name in single %},
        {% if name in numbers -%}
        cast(max(case when field_key = '{{ field }}' then {{ column }} end) as {{ dbt.type_bigint() }}) as {{ name }}
        {%- else -%}
        max(case when field_key = '{{ field }}' then {{ column }} end) as {{ name }}
        {%- endif -%}
        {%- endfor %}
        {%- for id in custom_fields %},
        max(case when custom_field_id = {{ id }} then value end) as custom_{{ id }}
        {%- endfor %}
    from {{ ref('issue_field_history') }}
    where valid_from <= {{ moment }} and (valid_to > {{ moment }} or valid_to is null)
    group by issue_id
{%- endmacro %}
