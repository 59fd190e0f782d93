-- A number per issue that is another one as soon as anything is that its history is made of: the row of the issue, its
-- changes, what their texts mean, the names of what it points to, and what was deleted in every project that it was in.
-- What has the same number need not be built again.
{%- set text = dbt.type_string() %}
with of_changes as (
    select
        issue_id,
        sum({{ backlog.digest_of([
            'comment_id', 'place', 'field_key', 'field', 'project_id', 'changed_at', 'changed_by_id', 'changed_by',
            'old_text', 'old_exact_id', 'old_id', 'old_name', 'old_ambiguous',
            'new_text', 'new_exact_id', 'new_id', 'new_name', 'new_ambiguous'
        ]) }}) as digest
    from {{ ref('int_backlog__changes') }}
    group by issue_id
),

-- Which projects the keys of a move mean, and what their keys are now.
of_moves as (
    select
        moves.issue_id,
        sum({{ backlog.digest_of([
            'moves.comment_id', 'moves.place', 'keys.project_key', 'keys.project_id', 'projects.project_key'
        ]) }}) as digest
    from {{ ref('int_backlog__changes') }} as moves
    inner join {{ ref('int_backlog__project_keys') }} as keys
        on keys.project_key = {{ dbt.split_part('moves.old_text', "'-'", 1) }}
        or keys.project_key = {{ dbt.split_part('moves.new_text', "'-'", 1) }}
    left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = keys.project_id
    where moves.field_key = 'issueKey'
    group by moves.issue_id
),

-- Names in the project of today; those of earlier ones are in the changes.
of_projects as (
    select scope_id as project_id, sum({{ backlog.digest_of(['field_key', 'object_id', 'name']) }}) as digest
    from {{ ref('int_backlog__objects') }}
    where {{ backlog.is_of_a_project('field_key') }}
    group by scope_id
),

of_space as (
    select coalesce(sum({{ backlog.digest_of(['field_key', 'object_id', 'name']) }}), 0) as digest
    from {{ ref('int_backlog__objects') }}
    where field_key in ('priority', 'resolution')
),

-- Every project that an issue is known to have been in.
places as (
    select issue_id, project_id from {{ ref('stg_backlog__issues') }}
    {{ backlog.union_distinct() }}
    select issue_id, project_id from {{ ref('int_backlog__changes') }}
),

removals as (
    select
        removals.issue_id,
        removals.project_id,
        sum({{ backlog.digest_of([
            'removals.field_key', 'removals.name', 'removals.substitute', 'removals.removed_at', 'removals.removed_by_id',
            'people.name', 'removals.activity_id', 'removals.is_estimated', 'removals.made_at', 'names.object_id'
        ]) }}) as digest
    from {{ ref('int_backlog__removals') }} as removals
    left join {{ ref('int_backlog__names') }} as names
        on names.field_key = removals.field_key and names.scope_id = removals.project_id and names.name = removals.name
    left join {{ ref('int_backlog__objects') }} as people
        on people.field_key = 'assigner' and people.object_id = cast(removals.removed_by_id as {{ text }})
    group by removals.issue_id, removals.project_id
),

-- A deleted milestone or category is taken off whatever row still has it.
deleted as (
    select project_id, sum({{ backlog.digest_of(['entity', 'entity_id']) }}) as digest
    from {{ ref('stg_backlog__deletions') }}
    where entity in ('version', 'category') and coalesce(reason, 'deleted') = 'deleted'
    group by project_id
),

of_removals as (
    select issue_id, sum(digest) as digest
    from (
        select issue_id, digest from removals where issue_id is not null
        union all
        select places.issue_id, removals.digest
        from places
        inner join removals on removals.issue_id is null and removals.project_id = places.project_id
        union all
        select places.issue_id, deleted.digest
        from places
        inner join deleted on deleted.project_id = places.project_id
    ) as told
    group by issue_id
)

select
    issues.issue_id,
    cast(
        {{ backlog.digest_of([
            'issues.issue_key', 'issues.project_id', 'projects.project_key', 'issues.summary', 'issues.description',
            'issues.status_id', 'issues.resolution_id', 'issues.priority_id', 'issues.issue_type_id', 'issues.start_date',
            'issues.due_date', 'issues.estimated_hours', 'issues.actual_hours', 'issues.assignee_id',
            'coalesce(assignees.name, issues.assignee)', 'issues.parent_issue_id', 'parents.name', 'issues.created_by_id',
            'coalesce(creators.name, issues.created_by_name)', 'issues.created_at', 'issues.deleted_at',
            backlog.json_as_text('issues.categories'), backlog.json_as_text('issues.versions'),
            backlog.json_as_text('issues.milestones'), backlog.json_as_text('issues.custom_fields')
        ]) }}
        + coalesce(of_changes.digest, 0)
        + coalesce(of_moves.digest, 0)
        + coalesce(of_projects.digest, 0)
        + coalesce(of_removals.digest, 0)
        + of_space.digest
        as {{ dbt.type_bigint() }}
    ) as fingerprint
from {{ ref('stg_backlog__issues') }} as issues
cross join of_space
left join of_changes on of_changes.issue_id = issues.issue_id
left join of_moves on of_moves.issue_id = issues.issue_id
left join of_projects on of_projects.project_id = issues.project_id
left join of_removals on of_removals.issue_id = issues.issue_id
left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = issues.project_id
left join {{ ref('int_backlog__objects') }} as assignees
    on assignees.field_key = 'assigner' and assignees.object_id = cast(issues.assignee_id as {{ text }})
left join {{ ref('int_backlog__objects') }} as creators
    on creators.field_key = 'assigner' and creators.object_id = cast(issues.created_by_id as {{ text }})
left join {{ ref('int_backlog__objects') }} as parents
    on parents.field_key = 'parentIssue' and parents.object_id = cast(issues.parent_issue_id as {{ text }})
