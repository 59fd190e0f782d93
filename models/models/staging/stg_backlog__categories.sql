{{ backlog.read_source('categories', [
    ['id', 'integer', 'category_id'],
    ['projectid', 'integer', 'project_id'],
    ['name', 'text', 'category']
]) }}
