{{ backlog.read_source('project_administrators', [
    ['projectid', 'integer', 'project_id'],
    ['id', 'integer', 'user_id']
], switch='using_access') }}
