-- A number per issue that is another one as soon as anything is that its history is made of: the row of the issue, its
-- changes, what their texts mean, the names of what it points to. What has the same number need not be built again.
{%- set text = dbt.type_string() %}
with of_changes as (
    select
        issue_id,
        sum({{ backlog.digest("cast(comment_id as " ~ text ~ ") || '/' || cast(place as " ~ text ~ ") || '|' || field_key || '|' || field"
            ~ " || '|' || coalesce(old_text, '') || '|' || coalesce(new_text, '')"
            ~ " || '|' || coalesce(old_exact_id, old_id, '') || '|' || coalesce(new_exact_id, new_id, '')"
            ~ " || '|' || coalesce(old_name, '') || '|' || coalesce(new_name, '') || '|' || coalesce(changed_by, '')"
            ~ " || '|' || coalesce(cast(project_id as " ~ text ~ "), '') || cast(old_ambiguous as " ~ text ~ ") || cast(new_ambiguous as " ~ text ~ ")") }}) as digest
    from {{ ref('int_backlog__changes') }}
    group by issue_id
),

of_projects as (
    select scope_id as project_id, sum({{ backlog.digest("field_key || '|' || object_id || '|' || name") }}) as digest
    from {{ ref('int_backlog__objects') }}
    where {{ backlog.is_of_a_project('field_key') }}
    group by scope_id
),

of_space as (
    select coalesce(sum({{ backlog.digest("field_key || '|' || object_id || '|' || name") }}), 0) as digest
    from {{ ref('int_backlog__objects') }}
    where field_key in ('priority', 'resolution')
),

of_removals as (
    select
        project_id,
        sum({{ backlog.digest("field_key || '|' || name || '|' || cast(removed_at as " ~ text ~ ")") }}) as digest
    from {{ ref('int_backlog__removals') }}
    group by project_id
)

select
    issues.issue_id,
    cast(
        {{ backlog.digest("issues.issue_key || '|' || cast(issues.project_id as " ~ text ~ ")"
            ~ " || '|' || coalesce(issues.summary, '') || '|' || coalesce(issues.description, '')") }}
        + {{ backlog.digest(
            "coalesce(cast(issues.status_id as " ~ text ~ "), '') || '|' || coalesce(cast(issues.resolution_id as " ~ text ~ "), '')"
            ~ " || '|' || coalesce(cast(issues.priority_id as " ~ text ~ "), '') || '|' || coalesce(cast(issues.issue_type_id as " ~ text ~ "), '')"
            ~ " || '|' || coalesce(cast(issues.start_date as " ~ text ~ "), '') || '|' || coalesce(cast(issues.due_date as " ~ text ~ "), '')"
            ~ " || '|' || coalesce(cast(issues.estimated_hours as " ~ text ~ "), '') || '|' || coalesce(cast(issues.actual_hours as " ~ text ~ "), '')"
            ~ " || '|' || coalesce(cast(issues.assignee_id as " ~ text ~ "), '') || '|' || coalesce(assignees.name, issues.assignee, '')"
            ~ " || '|' || coalesce(cast(issues.parent_issue_id as " ~ text ~ "), '') || '|' || coalesce(parents.name, '')"
            ~ " || '|' || coalesce(creators.name, issues.created_by_name, '') || '|' || coalesce(cast(issues.deleted_at as " ~ text ~ "), '')"
            ~ " || '|' || cast(issues.created_at as " ~ text ~ ")"
        ) }}
        + {{ backlog.digest("coalesce(cast(issues.categories as " ~ text ~ "), '') || coalesce(cast(issues.versions as " ~ text ~ "), '')"
            ~ " || coalesce(cast(issues.milestones as " ~ text ~ "), '') || coalesce(cast(issues.custom_fields as " ~ text ~ "), '')") }}
        + coalesce(of_changes.digest, 0)
        + coalesce(of_projects.digest, 0)
        + coalesce(of_removals.digest, 0)
        + of_space.digest
        as {{ dbt.type_bigint() }}
    ) as fingerprint
from {{ ref('stg_backlog__issues') }} as issues
cross join of_space
left join of_changes on of_changes.issue_id = issues.issue_id
left join of_projects on of_projects.project_id = issues.project_id
left join of_removals on of_removals.project_id = issues.project_id
left join {{ ref('int_backlog__objects') }} as assignees
    on assignees.field_key = 'assigner' and assignees.object_id = cast(issues.assignee_id as {{ text }})
left join {{ ref('int_backlog__objects') }} as creators
    on creators.field_key = 'assigner' and creators.object_id = cast(issues.created_by_id as {{ text }})
left join {{ ref('int_backlog__objects') }} as parents
    on parents.field_key = 'parentIssue' and parents.object_id = cast(issues.parent_issue_id as {{ text }})
