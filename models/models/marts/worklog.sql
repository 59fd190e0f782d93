-- Every change of the actual hours of an issue, with what was entered while it was created, where it was then.
with entries as (
    select *
    from (
        select
            *,
            coalesce(value_number, 0) as hours_after,
            coalesce(lag(value_number) over (partition by issue_id order by sequence), 0) as hours_before
        from {{ ref('issue_field_history') }}
        where field_key = 'actualHours'
    ) as values_of_then
    where hours_after <> hours_before
),

-- Where an issue was at the end of a second; also of the one in which it was deleted.
contexts as (
    select
        issue_id,
        field_key,
        value,
        value_id,
        valid_from,
        -- Without a null, of which some databases make a comparison of each row with each.
        case
            when lead(sequence) over (partition by issue_id, field_key order by sequence) is not null then valid_to
            else cast('9999-12-31' as {{ backlog.type_moment() }})
        end as valid_to
    from {{ ref('issue_field_history') }}
    where field_key in ('issueKey', 'component')
)

select
    entries.issue_id,
    entries.sequence,
    cast(coalesce(places.value_id, cast(entries.project_id as {{ dbt.type_string() }})) as {{ dbt.type_bigint() }}) as project_id,
    issues.issue_key,
    entries.changed_by_id as person_id,
    entries.changed_by as person,
    entries.valid_from as entered_at,
    {{ backlog.local_date('entries.valid_from') }} as entered_on,
    entries.hours_before,
    entries.hours_after,
    {{ backlog.exact('entries.hours_after - entries.hours_before') }} as hours,
    entries.origin = 'created' as is_at_creation,
    categories.value as categories,
    categories.value_id as category_ids
from entries
inner join {{ ref('stg_backlog__issues') }} as issues on issues.issue_id = entries.issue_id
left join contexts as places
    on places.issue_id = entries.issue_id
    and places.field_key = 'issueKey'
    and places.valid_from <= entries.valid_from
    and places.valid_to > entries.valid_from
left join contexts as categories
    on categories.issue_id = entries.issue_id
    and categories.field_key = 'component'
    and categories.valid_from <= entries.valid_from
    and categories.valid_to > entries.valid_from
