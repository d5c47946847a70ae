-- Since when the CRM shows each contact's present name, address, email, care status and insurance, as far as its extracts tell. One row per CRM contact.
with clock as (
    select as_of from policy.clock
),

-- The text only has to show whether it changed, so it is compared as typed but for case and spaces.
versions as (
    select
        contact.contact_id,
        contact.extracted_at,
        coalesce(contact.last_modified::timestamptz, contact.extracted_at) as modified_at,
        lower(trim(concat_ws('|', contact.first_name, contact.last_name, contact.birth_date, contact.sex))) as person,
        lower(trim(concat_ws('|', contact.address_line, contact.city, contact.state, contact.postal_code))) as address,
        lower(trim(contact.email)) as email,
        lower(trim(concat_ws('|', contact.care_status, contact.segments))) as care,
        lower(trim(concat_ws(
            '|', contact.insurance_payer_id, contact.insurance_payer, contact.insurance_member_id, contact.insurance_status
        ))) as insurance,
        row_number() over (
            partition by contact.contact_id
            order by contact.extracted_at, contact.take_seq, contact.last_modified nulls first, contact.row_hash
        ) as version,
    from raw.crm_contacts as contact
    cross join clock
    where contact.extracted_at <= clock.as_of and contact.is_removed is not true
),

present as (
    select
        contact_id,
        min(extracted_at) as first_seen_at,
        arg_max({'person': person, 'address': address, 'email': email, 'care': care, 'insurance': insurance}, version) as shown,
    from versions
    group by contact_id
),

replaced as (
    select
        versions.contact_id,
        max(version) filter (versions.person is distinct from present.shown.person) as person,
        max(version) filter (versions.address is distinct from present.shown.address) as address,
        max(version) filter (versions.email is distinct from present.shown.email) as email,
        max(version) filter (versions.care is distinct from present.shown.care) as care,
        max(version) filter (versions.insurance is distinct from present.shown.insurance) as insurance,
    from versions
    inner join present on present.contact_id = versions.contact_id
    group by versions.contact_id
),

since as (
    select
        versions.contact_id,
        min(modified_at) filter (version > coalesce(replaced.person, 0)) as person_since,
        min(modified_at) filter (version > coalesce(replaced.address, 0)) as address_since,
        min(modified_at) filter (version > coalesce(replaced.email, 0)) as email_since,
        -- Null as long as no extract has shown another: then nobody is known to have set it.
        min(modified_at) filter (version > replaced.care) as care_since,
        min(modified_at) filter (version > replaced.insurance) as insurance_since,
    from versions
    inner join replaced on replaced.contact_id = versions.contact_id
    group by versions.contact_id
)

select
    since.contact_id,
    present.first_seen_at,
    since.person_since,
    since.address_since,
    since.email_since,
    since.care_since,
    since.insurance_since,
from since
inner join present on present.contact_id = since.contact_id
