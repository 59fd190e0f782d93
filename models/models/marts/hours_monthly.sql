-- Hours per person, project, category and month. The hours of an issue in several categories are shared among them.
with shared as (
    select
        worklog.*,
        objects.object_id as category_id,
        objects.name as category,
        count(*) over (partition by worklog.issue_id, worklog.sequence) as shares
    from {{ ref('worklog') }} as worklog
    left join {{ ref('int_backlog__objects') }} as objects
        on objects.field_key = 'component'
        and objects.scope_id = worklog.project_id
        and {{ backlog.position_of("', ' || objects.object_id || ', '", "', ' || worklog.category_ids || ', '") }} > 0
)

select
    person_id,
    max(person) as person,
    project_id,
    cast(category_id as {{ dbt.type_bigint() }}) as category_id,
    -- Categories whose ids are not known stay together under their names.
    coalesce(max(category), case when category_ids is null then categories end) as category,
    {{ backlog.month_of('entered_on') }} as month,
    {{ backlog.exact_sum('hours / shares') }} as hours,
    count(distinct issue_id) as issues
from shared
group by
    person_id, project_id, category_id, case when category_ids is null then categories end, category_ids is null,
    {{ backlog.month_of('entered_on') }}
