{{ backlog.read_source('projects', [
    ['id', 'integer', 'project_id'],
    ['projectkey', 'text', 'project_key'],
    ['name', 'text', 'project'],
    ['archived', 'boolean', 'is_archived']
]) }}
