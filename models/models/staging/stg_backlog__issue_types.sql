{{ backlog.read_source('issue_types', [
    ['id', 'integer', 'issue_type_id'],
    ['projectid', 'integer', 'project_id'],
    ['name', 'text', 'issue_type']
]) }}
