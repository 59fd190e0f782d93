{{ backlog.read_source('project_users', [
    ['projectid', 'integer', 'project_id'],
    ['id', 'integer', 'user_id'],
    ['userid', 'text', 'login_id'],
    ['name', 'text'],
    ['roletype', 'integer', 'role_type'],
    ['mailaddress', 'text', 'mail_address'],
    ['lastlogintime', 'moment', 'last_login_at']
], switch='using_access') }}
