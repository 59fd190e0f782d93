{{ backlog.read_source('activities', [
    ['id', 'integer', 'activity_id'],
    ['type', 'integer', 'type_id'],
    ['typename', 'text', 'type_name'],
    ['projectid', 'integer', 'project_id'],
    ['projectkey', 'text', 'project_key'],
    ['createduserid', 'integer', 'person_id'],
    ['createdusername', 'text', 'person_name'],
    ['created', 'moment', 'happened_at'],
    ['content', 'json']
], switch='using_activities') }}
