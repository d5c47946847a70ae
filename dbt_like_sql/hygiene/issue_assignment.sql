-- Who works each open issue: the person who knows the patient, else whoever has the most room for it.
with person as (

    select
        staff.staff_id,
        min(staff.role) as role,
        greatest(coalesce(max(staff.capacity_per_day), 1), 1) as capacity,
        list(distinct staff.handles) filter (where staff.handles is not null) as handles,
        coalesce(
            bool_or(
                clock.as_of_date >= staff_absence.absent_from
                and clock.as_of_date <= coalesce(staff_absence.absent_to, clock.as_of_date)
            ),
            false
        ) as is_absent
    from policy.staff
    cross join policy.clock
    left join policy.staff_absence on staff.staff_id = staff_absence.staff_id
    group by staff.staff_id

),

kind_of_work as (

    select distinct
        issue_priority.staleness_type,
        issue_priority.is_long_overdue
    from hygiene.issue_priority

),

role_of_work as (

    select
        kind_of_work.staleness_type,
        kind_of_work.is_long_overdue,
        max(assignment.role) filter (where not assignment.is_fallback) as usual_role,
        max(assignment.role) filter (where assignment.is_fallback) as fallback_role
    from kind_of_work
    left join policy.assignment on kind_of_work.staleness_type = assignment.staleness_type
    group by kind_of_work.staleness_type, kind_of_work.is_long_overdue

),

suitable as (

    select
        role_of_work.staleness_type,
        role_of_work.is_long_overdue,
        person.staff_id,
        person.capacity,
        -- Somebody absent is asked only when everybody is absent.
        if(person.is_absent, 10, 0) + case
            when role_of_work.is_long_overdue and coalesce(person.role = role_of_work.fallback_role, false) then 0
            when coalesce(list_contains(person.handles, role_of_work.staleness_type), false) then 1
            when coalesce(person.role = role_of_work.usual_role, false) then 2
            when coalesce(person.role = role_of_work.fallback_role, false) then 3
            else 4
        end as distance
    from role_of_work
    cross join person

),

team as (

    select
        staleness_type,
        is_long_overdue,
        staff_id,
        capacity
    from suitable
    qualify distance = min(distance) over (partition by staleness_type, is_long_overdue)

),

team_name as (

    select
        staleness_type,
        is_long_overdue,
        string_agg(staff_id, ' ' order by staff_id) as team,
        count(*) as people
    from team
    group by staleness_type, is_long_overdue

),

work as (

    select
        issue_priority.issue_id,
        issue_priority.contact_id,
        issue_priority.staleness_type,
        issue_priority.is_long_overdue,
        issue_priority.known_assignee,
        issue_priority.queue_rank,
        team_name.team,
        team_name.people
    from hygiene.issue_priority
    left join team_name
        on
            issue_priority.staleness_type = team_name.staleness_type
            and issue_priority.is_long_overdue = team_name.is_long_overdue

),

knows_patient as (

    select
        issue_id,
        known_assignee as staff_id,
        1 as closeness,
        null::timestamptz as worked_at
    from work

    union all

    select
        work.issue_id,
        companion.known_assignee as staff_id,
        2 as closeness,
        null::timestamptz as worked_at
    from work
    inner join work as companion on work.contact_id = companion.contact_id

    union all

    select
        work.issue_id,
        crm_interaction.staff as staff_id,
        3 as closeness,
        crm_interaction.occurred_at as worked_at
    from work
    inner join staging.crm_interaction on work.contact_id = crm_interaction.contact_id
    cross join policy.clock
    where crm_interaction.occurred_at <= clock.as_of

    union all

    select
        work.issue_id,
        crm_contact.owner as staff_id,
        4 as closeness,
        null::timestamptz as worked_at
    from work
    inner join staging.crm_contact on work.contact_id = crm_contact.contact_id

),

kept as (

    select
        work.issue_id,
        knows_patient.staff_id
    from work
    inner join knows_patient on work.issue_id = knows_patient.issue_id
    inner join team
        on
            work.staleness_type = team.staleness_type
            and work.is_long_overdue = team.is_long_overdue
            and knows_patient.staff_id = team.staff_id
    qualify
        row_number() over (
            partition by work.issue_id
            order by knows_patient.closeness, knows_patient.worked_at desc nulls last, knows_patient.staff_id
        ) = 1

),

unclaimed as (

    select
        work.issue_id,
        work.contact_id,
        work.team,
        work.people,
        work.queue_rank
    from work
    anti join kept on work.issue_id = kept.issue_id

),

-- One patient's issues go to one person, so it is contacts that are dealt out.
waiting_contact as (

    select
        team,
        contact_id,
        row_number() over (partition by team order by min(queue_rank)) as place
    from unclaimed
    group by team, contact_id

),

load_of_person as (

    select
        staff_id,
        count(*) as issues
    from (
        select kept.staff_id
        from kept
        union all
        select unclaimed.team as staff_id
        from unclaimed
        where unclaimed.people = 1
    )
    group by staff_id

),

team_member as (

    select distinct
        team_name.team,
        team.staff_id,
        team.capacity,
        -- Work that only one person can take counts once, not again while it is dealt out to that person.
        if(team_name.people = 1, 0, coalesce(load_of_person.issues, 0)) as issues
    from team_name
    inner join team
        on
            team_name.staleness_type = team.staleness_type
            and team_name.is_long_overdue = team.is_long_overdue
    left join load_of_person on team.staff_id = load_of_person.staff_id

),

-- Each person's next place is as far away as their load by capacity: the least loaded is always next.
turn as (

    select
        member.team,
        member.staff_id,
        row_number() over (
            partition by member.team
            order by (member.issues + member.nth) / member.capacity, member.staff_id, member.nth
        ) as place
    from (
        select
            team_member.team,
            team_member.staff_id,
            team_member.capacity,
            team_member.issues,
            unnest(range(1, waiting.contacts + 1)) as nth
        from team_member
        inner join (
            select
                team,
                count(*) as contacts
            from waiting_contact
            group by team
        ) as waiting on team_member.team = waiting.team
    ) as member

),

dealt as (

    select
        unclaimed.issue_id,
        turn.staff_id
    from unclaimed
    inner join waiting_contact
        on unclaimed.team = waiting_contact.team and unclaimed.contact_id = waiting_contact.contact_id
    inner join turn on waiting_contact.team = turn.team and waiting_contact.place = turn.place

),

assigned as (

    select
        kept.issue_id,
        kept.staff_id as assignee,
        'knows_patient' as assigned_because
    from kept

    union all

    select
        dealt.issue_id,
        dealt.staff_id as assignee,
        'next_in_turn' as assigned_because
    from dealt

)

select
    issue_id,
    assignee,
    assigned_because
from assigned
