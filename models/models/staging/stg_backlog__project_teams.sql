{{ backlog.read_source('project_teams', [
    ['projectid', 'integer', 'project_id'],
    ['id', 'integer', 'team_id'],
    ['name', 'text', 'team'],
    ['members', 'json']
], switch='using_access') }}
