-- Comments with words per person, project and month: on issues, pull requests and documents.
{%- set id_of = "cast(" ~ backlog.json_text('created_user', ['id']) ~ " as " ~ dbt.type_bigint() ~ ")" %}
{%- set name_of = backlog.json_text('created_user', ['name']) %}
with comments as (
    select {{ id_of }} as person_id, {{ name_of }} as person, project_id, created_at, 'issue' as kind, content
    from {{ ref('stg_backlog__issue_comments') }}
    where issue_id in (select issue_id from {{ ref('issue_enhanced') }})
    union all
    select {{ id_of }}, {{ name_of }}, project_id, created_at, 'pull_request', content
    from {{ ref('stg_backlog__pull_request_comments') }}
    union all
    select person_id, {{ name_of }}, project_id, created_at, 'document', content
    from {{ ref('stg_backlog__document_comments') }}
)

select
    comments.person_id,
    coalesce(max(people.name), max(comments.person)) as person,
    comments.project_id,
    {{ backlog.month_of(backlog.local_date('comments.created_at')) }} as month,
    count(*) as comments,
    sum(case when comments.kind = 'issue' then 1 else 0 end) as on_issues,
    sum(case when comments.kind = 'pull_request' then 1 else 0 end) as on_pull_requests,
    sum(case when comments.kind = 'document' then 1 else 0 end) as on_documents
from comments
left join {{ ref('int_backlog__objects') }} as people
    on people.field_key = 'assigner' and people.object_id = cast(comments.person_id as {{ dbt.type_string() }})
where comments.content is not null and comments.content <> ''
group by comments.person_id, comments.project_id, {{ backlog.month_of(backlog.local_date('comments.created_at')) }}
