{{ backlog.read_source('custom_field_items', [
    ['customfieldid', 'integer', 'custom_field_id'],
    ['id', 'integer', 'item_id'],
    ['name', 'text', 'item']
]) }}
