{{ backlog.read_source('custom_fields', [
    ['id', 'integer', 'custom_field_id'],
    ['projectid', 'integer', 'project_id'],
    ['name', 'text', 'custom_field'],
    ['typeid', 'integer', 'type_id']
]) }}
