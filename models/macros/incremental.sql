{#- Issues that are not in their table any more, after it was read anew, go from the tables that are kept up. -#}
{% macro forget_issues_that_are_gone() %}
    {% if is_incremental() %}
    delete from {{ this }}
    where issue_id not in (select issue_id from {{ ref('stg_backlog__issues') }})
    {% endif %}
{% endmacro %}

{#- The rows of issues whose history is another one than when they were built. -#}
{% macro forget_issues_that_changed() %}
    {% if is_incremental() %}
    delete from {{ this }}
    where not exists (
        select 1 from {{ ref('int_backlog__fingerprints') }} as fingerprints
        where fingerprints.issue_id = {{ this }}.issue_id and fingerprints.fingerprint = {{ this }}.fingerprint
    )
    {% endif %}
{% endmacro %}

{#- A number made of some columns of a row. -#}
{% macro digest_of(columns) -%}
    {%- set texts = [] -%}
    {%- for column in columns -%}
        {%- do texts.append("coalesce(cast(" ~ column ~ " as " ~ dbt.type_string() ~ "), '')") -%}
    {%- endfor -%}
    {{ backlog.digest(texts | join(" || '|' || ")) }}
{%- endmacro %}
