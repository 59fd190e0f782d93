{{ backlog.read_source('issue_comments', [
    ['id', 'integer', 'comment_id'],
    ['issueid', 'integer', 'issue_id'],
    ['projectid', 'integer', 'project_id'],
    ['content', 'text'],
    ['created', 'moment', 'created_at'],
    ['createduser', 'json', 'created_user']
], switch='using_comments') }}
