{{ backlog.read_source('users', [
    ['id', 'integer', 'user_id'],
    ['userid', 'text', 'login_id'],
    ['name', 'text'],
    ['roletype', 'integer', 'role_type'],
    ['mailaddress', 'text', 'mail_address'],
    ['lastlogintime', 'moment', 'last_login_at']
]) }}
