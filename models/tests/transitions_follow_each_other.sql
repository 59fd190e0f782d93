-- What a change found is what the one before it left.
select issue_id, sequence
from (
    select
        issue_id,
        sequence,
        from_status,
        lag(to_status) over (partition by issue_id order by sequence) as status_before
    from {{ ref('issue_status_transitions') }}
) as pairs
where sequence > 0 and from_status <> status_before
