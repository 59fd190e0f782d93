-- From its creation on an issue has one value of each field at every moment.
select issue_id, field_key, sequence
from (
    select
        *,
        lead(valid_from) over (partition by issue_id, field_key order by sequence) as next_from,
        lead(sequence) over (partition by issue_id, field_key order by sequence) as next_sequence
    from {{ ref('issue_field_history') }}
) as intervals
where valid_to < valid_from
    or (next_sequence is not null and (valid_to is null or valid_to <> next_from))
