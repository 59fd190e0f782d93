{{ backlog.read_source('statuses', [
    ['id', 'integer', 'status_id'],
    ['projectid', 'integer', 'project_id'],
    ['name', 'text', 'status'],
    ['color', 'text'],
    ['displayorder', 'integer', 'display_order']
]) }}
