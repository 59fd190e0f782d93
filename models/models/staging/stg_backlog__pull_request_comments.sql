{{ backlog.read_source('pull_request_comments', [
    ['id', 'integer', 'comment_id'],
    ['projectid', 'integer', 'project_id'],
    ['pullrequestid', 'integer', 'pull_request_id'],
    ['content', 'text'],
    ['created', 'moment', 'created_at'],
    ['createduser', 'json', 'created_user']
], switch='using_pull_requests') }}
