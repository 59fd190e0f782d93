{{ backlog.read_source('versions', [
    ['id', 'integer', 'milestone_id'],
    ['projectid', 'integer', 'project_id'],
    ['name', 'text', 'milestone'],
    ['startdate', 'day', 'start_date'],
    ['releaseduedate', 'day', 'release_due_date'],
    ['archived', 'boolean', 'is_archived']
]) }}
