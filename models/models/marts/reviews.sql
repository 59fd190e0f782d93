-- Pull requests: how long until somebody else answered, and until they were merged or closed.
{{ config(enabled=var('using_pull_requests', true)) }}
{%- set bigint = dbt.type_bigint() %}
with requests as (
    select
        *,
        cast({{ backlog.json_text('created_user', ['id']) }} as {{ bigint }}) as author_id,
        {{ backlog.json_text('created_user', ['name']) }} as author,
        cast({{ backlog.json_text('assignee', ['id']) }} as {{ bigint }}) as reviewer_id,
        {{ backlog.json_text('assignee', ['name']) }} as reviewer,
        cast({{ backlog.json_text('status', ['id']) }} as {{ bigint }}) as status_id,
        cast({{ backlog.json_text('issue', ['id']) }} as {{ bigint }}) as issue_id
    from {{ ref('stg_backlog__pull_requests') }}
    where created_at is not null
),

answers as (
    select
        comments.pull_request_id,
        count(*) as comments,
        min(case
            when cast({{ backlog.json_text('comments.created_user', ['id']) }} as {{ bigint }}) <> requests.author_id
                then comments.created_at
        end) as first_answered_at
    from {{ ref('stg_backlog__pull_request_comments') }} as comments
    inner join requests on requests.pull_request_id = comments.pull_request_id
    where comments.content is not null and comments.content <> ''
    group by comments.pull_request_id
)

select
    requests.pull_request_id,
    requests.project_id,
    requests.repository_id,
    requests.repository,
    requests.number,
    requests.summary,
    requests.author_id,
    coalesce(authors.name, requests.author) as author,
    requests.reviewer_id,
    coalesce(reviewers.name, requests.reviewer) as reviewer,
    requests.issue_id,
    case requests.status_id when 1 then 'open' when 2 then 'closed' when 3 then 'merged' end as status,
    requests.created_at,
    answers.first_answered_at,
    requests.merged_at,
    requests.closed_at,
    coalesce(answers.comments, 0) as comments,
    {{ backlog.hours_between('requests.created_at', 'answers.first_answered_at') }} as hours_to_first_answer,
    {{ backlog.hours_between('requests.created_at', 'requests.merged_at') }} as hours_to_merge,
    {{ backlog.hours_between('requests.created_at', 'requests.closed_at') }} as hours_to_close
from requests
left join answers on answers.pull_request_id = requests.pull_request_id
left join {{ ref('int_backlog__objects') }} as authors
    on authors.field_key = 'assigner' and authors.object_id = cast(requests.author_id as {{ dbt.type_string() }})
left join {{ ref('int_backlog__objects') }} as reviewers
    on reviewers.field_key = 'assigner' and reviewers.object_id = cast(requests.reviewer_id as {{ dbt.type_string() }})
where not exists (
    select 1 from {{ ref('stg_backlog__deletions') }} as deletions
    where deletions.entity = 'pull_request' and deletions.entity_id = cast(requests.pull_request_id as {{ dbt.type_string() }})
)
