-- Contacts as the CRM shows them at the clock. One row per contact that the CRM still has.
with versions as (
    select
        contacts.contact_id,
        contacts.mrn,
        contacts.first_name,
        contacts.last_name,
        contacts.birth_date,
        contacts.sex,
        contacts.phone as phone_raw,
        phones.e164 as phone,
        phones.digits as phone_digits,
        -- The same number in another spelling is the same number.
        coalesce(phones.e164, phones.digits, contacts.phone, '') as phone_key,
        contacts.alternate_phone as alternate_phone_raw,
        alternates.e164 as alternate_phone,
        contacts.email,
        contacts.address_line,
        contacts.city,
        contacts.state,
        contacts.postal_code,
        contacts.insurance_payer_id,
        contacts.insurance_payer,
        contacts.insurance_member_id,
        contacts.insurance_status,
        contacts.care_status,
        contacts.segments,
        contacts.referring_provider_npi,
        contacts.last_phone_verified,
        contacts.preferred_channel,
        contacts.sms_opt_out,
        contacts.email_opt_out,
        contacts.call_opt_out,
        contacts.owner,
        contacts.is_active,
        contacts.last_modified,
        contacts.is_removed,
        contacts.extracted_at,
        contacts.source_file,
        contacts.source_line,
        row_number() over version as version_number,
        row_number() over version = count(*) over (partition by contacts.contact_id) as is_latest,
    from raw.crm_contacts as contacts
    left join staging.phone_number as phones on contacts.phone = phones.raw
    left join staging.phone_number as alternates on contacts.alternate_phone = alternates.raw
    where contacts.extracted_at <= (select as_of from policy.clock)
    window version as (
        partition by contacts.contact_id
        order by contacts.extracted_at, contacts.take_seq, contacts.last_modified nulls first, contacts.row_hash
    )
),

-- A contact that was missing from an extract and came back had its number all along.
phone_starts as (
    select
        contact_id,
        extracted_at,
        version_number,
    from versions
    where not is_removed
    qualify phone_key is distinct from lag(phone_key) over (partition by contact_id order by version_number)
),

phone_runs as (
    select contact_id, arg_max(extracted_at, version_number) as phone_since
    from phone_starts
    group by contact_id
),

contacts as (
    select
        versions.contact_id,
        versions.mrn,
        versions.first_name,
        versions.last_name,
        -- Where an accent may be left out in writing it folds; in other scripts a mark is a vowel, and without it the name
        -- is another.
        nullif(trim(regexp_replace(regexp_replace(
            lower(array_to_string(list_transform(
                string_split(nfc_normalize(concat_ws(' ', versions.first_name, versions.last_name)), ' '),
                lambda word: case
                    when regexp_matches(
                        word, '[^\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Common}\p{Inherited}]'
                    )
                        then word
                    else strip_accents(word)
                end
            ), ' ')),
            '[^\p{L}\p{M} ]|\p{Inherited}', '', 'g'), ' +', ' ', 'g')), '') as name_key,
        versions.birth_date,
        versions.sex,
        versions.phone_raw,
        versions.phone,
        case
            when versions.phone_raw is null then 'missing'
            when versions.phone is null then 'invalid_format'
        end as phone_reason,
        versions.phone_digits,
        versions.alternate_phone_raw,
        versions.alternate_phone,
        lower(trim(versions.email)) as email,
        versions.address_line,
        versions.city,
        versions.state,
        versions.postal_code,
        versions.insurance_payer_id,
        versions.insurance_payer,
        versions.insurance_member_id,
        versions.insurance_status,
        versions.care_status,
        list_sort(list_distinct(list_filter(
            list_transform(string_split(coalesce(versions.segments, ''), ';'), lambda segment: trim(segment)),
            lambda segment: segment <> ''
        ))) as segments,
        versions.referring_provider_npi,
        versions.last_phone_verified,
        lower(versions.preferred_channel) as preferred_channel,
        coalesce(versions.sms_opt_out, false) as sms_opt_out,
        coalesce(versions.email_opt_out, false) as email_opt_out,
        coalesce(versions.call_opt_out, false) as call_opt_out,
        versions.owner,
        -- A CRM that does not say so holds active contacts.
        coalesce(versions.is_active, true) as is_active,
        versions.last_modified,
        case when versions.phone_raw is not null then phone_runs.phone_since end as phone_since,
        versions.source_file,
        versions.source_line,
    from versions
    left join phone_runs on versions.contact_id = phone_runs.contact_id
    where versions.is_latest and not versions.is_removed
)

select
    contact_id,
    mrn,
    first_name,
    last_name,
    name_key,
    birth_date,
    sex,
    phone_raw,
    phone,
    phone_reason,
    phone_digits,
    alternate_phone_raw,
    alternate_phone,
    email,
    address_line,
    city,
    state,
    postal_code,
    insurance_payer_id,
    insurance_payer,
    insurance_member_id,
    insurance_status,
    care_status,
    segments,
    referring_provider_npi,
    last_phone_verified,
    preferred_channel,
    sms_opt_out,
    email_opt_out,
    call_opt_out,
    owner,
    is_active,
    last_modified,
    phone_since,
    source_file,
    source_line,
from contacts
