{{ backlog.read_source('resolutions', [
    ['id', 'integer', 'resolution_id'],
    ['name', 'text', 'resolution']
]) }}
