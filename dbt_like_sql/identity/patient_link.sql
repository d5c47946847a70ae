-- Which patient each record belongs to, under an id that stays the same from night to night. One row per source record.
with recursive
recognised as (
    select
        record.source,
        record.source_id,
        record.record_key,
        record.replaced_by,
        mrn_group.group_key,
        mrn_group.records > 1 as is_linked_by_mrn,
        case when record.name_key is not null and record.birth_date is not null
            then list_distinct([
                record.name_key || '|' || record.birth_date || '|' || record.phone,
                record.name_key || '|' || record.birth_date || '|' || record.email
            ])
        end as person_keys,
    from identity.record as record
    inner join identity.mrn_group as mrn_group on mrn_group.record_key = record.record_key
),

-- Same name, birth date and a shared contact: asked only where the number found nobody.
person_key as (
    select record_key, group_key, is_linked_by_mrn, unnest(person_keys) as person
    from recognised
),

shared_person as (
    select person, min(group_key) as hub
    from person_key
    group by person
    having bool_or(not is_linked_by_mrn) and min(group_key) <> max(group_key)
),

linked_by_person as (
    select distinct person_key.record_key, person_key.group_key, shared_person.hub
    from person_key
    inner join shared_person on shared_person.person = person_key.person
),

touching as (
    select group_key as node, hub
    from linked_by_person
    union
    select merged.group_key, survivor.group_key
    from recognised as merged
    inner join recognised as survivor
        on survivor.source = 'ehr' and survivor.source_id = merged.replaced_by
    where merged.source = 'ehr'
),

-- One step towards the smallest neighbour folds every star into a point, so that hardly anything is left to walk.
folded as (
    select node, least(node, min(hub)) as label
    from touching
    group by node
),

bridge as (
    select folded.label as one, touching.hub as other
    from touching
    inner join folded on folded.node = touching.node
    where folded.label <> touching.hub
),

walk as (
    select one as node, other as reached from bridge
    union
    select other, one from bridge
    union
    select walk.node, bridge_end.other
    from walk
    inner join (
        select one, other from bridge
        union
        select other, one from bridge
    ) as bridge_end on bridge_end.one = walk.reached
),

root as (
    select node, least(node, min(reached)) as label
    from walk
    group by node
),

clustered as (
    select
        recognised.source,
        recognised.source_id,
        recognised.record_key,
        recognised.is_linked_by_mrn,
        coalesce(root.label, folded.label, recognised.group_key) as cluster_key,
    from recognised
    left join folded on folded.node = recognised.group_key
    left join root on root.node = coalesce(folded.label, recognised.group_key)
),

earlier as (
    select source, source_id, patient_id, as_of
    from history.identity_patient_link
    where as_of < (select as_of from policy.clock)
),

known as (
    select source, source_id, arg_max(patient_id, as_of) as patient_id
    from earlier
    group by source, source_id
),

age as (
    select patient_id, min(as_of) as since
    from earlier
    group by patient_id
),

claim as (
    select
        clustered.cluster_key,
        known.patient_id,
        min(clustered.record_key) as by_record,
        min(age.since) as since,
    from clustered
    inner join known on known.source = clustered.source and known.source_id = clustered.source_id
    inner join age on age.patient_id = known.patient_id
    group by clustered.cluster_key, known.patient_id
),

-- Patients that turn out to be one keep the oldest of their ids …
chosen as (
    select
        cluster_key,
        min({'since': since, 'patient_id': patient_id, 'by_record': by_record}) as best,
    from claim
    group by cluster_key
),

-- … and of patients that turn out to be two, the one with the more authoritative record keeps it.
keeper as (
    select best.patient_id as patient_id, min(best.by_record) as by_record
    from chosen
    group by best.patient_id
),

anchor as (
    select
        cluster_key,
        arg_min(source || ':' || source_id, record_key) as named_after,
        count(*) as records,
    from clustered
    group by cluster_key
),

named as (
    select
        anchor.cluster_key,
        anchor.records,
        case
            when chosen.cluster_key is null then 'p-' || left(md5(anchor.named_after), 12)
            when chosen.best.by_record = keeper.by_record then chosen.best.patient_id
            else 'p-' || left(md5(anchor.named_after || ':' || chosen.best.patient_id), 12)
        end as patient_id,
    from anchor
    left join chosen on chosen.cluster_key = anchor.cluster_key
    left join keeper on keeper.patient_id = chosen.best.patient_id
),

linked as (
    select
        clustered.source,
        clustered.source_id,
        named.patient_id,
        case
            when clustered.is_linked_by_mrn then 'mrn'
            when by_person.record_key is not null then 'name_birth_contact'
            when named.records > 1 then 'replaced_by'
            else 'none'
        end as method,
    from clustered
    inner join named on named.cluster_key = clustered.cluster_key
    left join (select distinct record_key from linked_by_person) as by_person
        on by_person.record_key = clustered.record_key
)

select
    source,
    source_id,
    patient_id,
    method,
    case method when 'name_birth_contact' then 0.99 else 1.0 end::double as match_probability,
from linked
