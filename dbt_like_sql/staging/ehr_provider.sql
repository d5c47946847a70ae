-- The NPI behind each provider that the EHR refers to. One row per reference as it is spelt in other resources.
with practitioner as (
    select
        id,
        list_filter(identifier, lambda one: one.system = 'http://hl7.org/fhir/sid/us-npi')[1].value as npi,
    from raw.fhir_practitioner as practitioner
    anti join staging.ehr_deletion as deletion
        on deletion.resource_type = 'Practitioner' and deletion.resource_id = practitioner.id
        and deletion.deleted_at >= coalesce(practitioner.last_updated, practitioner.extracted_at)
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by id
        order by
            coalesce(last_updated, extracted_at) desc,
            extracted_at desc, take_seq desc, source_line desc, row_hash desc
    ) = 1
),

practitioner_role as (
    select id, practitioner.reference as reference, practitioner.identifier as logical
    from raw.fhir_practitioner_role as practitioner_role
    anti join staging.ehr_deletion as deletion
        on deletion.resource_type = 'PractitionerRole' and deletion.resource_id = practitioner_role.id
        and deletion.deleted_at >= coalesce(practitioner_role.last_updated, practitioner_role.extracted_at)
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by id
        order by
            coalesce(last_updated, extracted_at) desc,
            extracted_at desc, take_seq desc, source_line desc, row_hash desc
    ) = 1
),

role_npi as (
    select
        practitioner_role.id,
        coalesce(
            practitioner.npi,
            case
                when practitioner_role.logical.system = 'http://hl7.org/fhir/sid/us-npi'
                    then practitioner_role.logical.value
            end,
            nullif(regexp_extract(practitioner_role.reference, 'us-npi(?:\||%7C)(\d{10})$', 1), '')
        ) as npi,
    from practitioner_role
    left join practitioner
        on practitioner.id = regexp_extract(
            practitioner_role.reference, '(?:Practitioner/|^urn:uuid:)([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$', 1
        )
),

provider as (
    select 'Practitioner' as resource_type, id, npi
    from practitioner
    union all
    select 'PractitionerRole', id, npi
    from role_npi
)

select resource_type, id as resource_id, npi
from provider
where npi is not null
