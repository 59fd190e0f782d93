{{ backlog.read_source('issue_changelogs', [
    ['issueid', 'integer', 'issue_id'],
    ['projectid', 'integer', 'project_id'],
    ['commentid', 'integer', 'comment_id'],
    ['position', 'integer', 'place'],
    ['field', 'text'],
    ['customfieldid', 'integer', 'custom_field_id'],
    ['originalvalue', 'text', 'old_value'],
    ['newvalue', 'text', 'new_value'],
    ['originalid', 'text', 'old_id'],
    ['newid', 'text', 'new_id'],
    ['created', 'moment', 'changed_at'],
    ['createduserid', 'integer', 'changed_by_id'],
    ['createdusername', 'text', 'changed_by_name']
]) }}
