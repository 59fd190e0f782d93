{{ backlog.read_source('deletions', [
    ['entity', 'text'],
    ['entityid', 'text', 'entity_id'],
    ['entityname', 'text', 'entity_name'],
    ['entitykey', 'text', 'entity_key'],
    ['projectid', 'integer', 'project_id'],
    ['projectkey', 'text', 'project_key'],
    ['deletedat', 'moment', 'deleted_at'],
    ['deletedbyuserid', 'integer', 'deleted_by_id'],
    ['deletedbyusername', 'text', 'deleted_by_name'],
    ['activityid', 'integer', 'activity_id'],
    ['method', 'text'],
    ['reason', 'text']
]) }}
