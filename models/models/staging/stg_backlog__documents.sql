{{ backlog.read_source('documents', [
    ['id', 'text', 'document_id'],
    ['projectid', 'integer', 'project_id'],
    ['title', 'text']
], switch='using_documents') }}
