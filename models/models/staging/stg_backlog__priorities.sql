{{ backlog.read_source('priorities', [
    ['id', 'integer', 'priority_id'],
    ['name', 'text', 'priority']
]) }}
