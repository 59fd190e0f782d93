-- Who can see which project, with what role, and when they were here last.
{{ config(enabled=var('using_access', true)) }}
with through_teams as (
    select
        teams.project_id,
        cast({{ backlog.json_text(backlog.json_element('member'), ['id']) }} as {{ dbt.type_bigint() }}) as user_id,
        {{ dbt.listagg('teams.team', "', '", 'order by teams.team') }} as teams
    from {{ ref('stg_backlog__project_teams') }} as teams
    {{ backlog.json_elements('teams.members', 'member') }}
    group by 1, 2
)

select
    members.project_id,
    projects.project_key,
    projects.project,
    coalesce(projects.is_archived, false) as project_is_archived,
    members.user_id as person_id,
    coalesce(users.name, members.name) as person,
    coalesce(users.mail_address, members.mail_address) as mail_address,
    coalesce(users.role_type, members.role_type) as role_id,
    case coalesce(users.role_type, members.role_type)
        when 1 then 'administrator' when 2 then 'normal user' when 3 then 'reporter' when 4 then 'viewer'
        when 5 then 'guest reporter' when 6 then 'guest viewer'
    end as role,
    coalesce(coalesce(users.role_type, members.role_type) = 1, false) as is_administrator,
    administrators.user_id is not null as is_project_administrator,
    coalesce(coalesce(users.role_type, members.role_type) in (5, 6), false) or members.login_id is null as is_guest,
    through_teams.teams as through_teams,
    coalesce(users.last_login_at, members.last_login_at) as last_login_at,
    {{ backlog.days_between(backlog.local_date('coalesce(users.last_login_at, members.last_login_at)'), 'as_of.as_of_day') }} as days_since_login
from {{ ref('stg_backlog__project_users') }} as members
cross join {{ ref('stg_backlog__as_of') }} as as_of
left join {{ ref('stg_backlog__users') }} as users on users.user_id = members.user_id
left join {{ ref('stg_backlog__projects') }} as projects on projects.project_id = members.project_id
left join {{ ref('stg_backlog__project_administrators') }} as administrators
    on administrators.project_id = members.project_id and administrators.user_id = members.user_id
left join through_teams on through_teams.project_id = members.project_id and through_teams.user_id = members.user_id
