{{ backlog.read_source('pull_requests', [
    ['id', 'integer', 'pull_request_id'],
    ['projectid', 'integer', 'project_id'],
    ['repositoryid', 'integer', 'repository_id'],
    ['repositoryname', 'text', 'repository'],
    ['number', 'integer'],
    ['summary', 'text'],
    ['status', 'json'],
    ['assignee', 'json'],
    ['issue', 'json'],
    ['createduser', 'json', 'created_user'],
    ['created', 'moment', 'created_at'],
    ['closeat', 'moment', 'closed_at'],
    ['mergeat', 'moment', 'merged_at']
], switch='using_pull_requests') }}
