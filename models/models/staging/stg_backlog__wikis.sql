{{ backlog.read_source('wikis', [
    ['id', 'integer', 'wiki_id'],
    ['projectid', 'integer', 'project_id'],
    ['name', 'text']
], switch='using_wikis') }}
