-- The NPI behind each provider that the EHR refers to. One row per reference as it is spelt in other resources.
with practitioner as (
    select
        id,
        list_filter(identifier, lambda one: one.system = 'http://hl7.org/fhir/sid/us-npi')[1].value as npi,
    from raw.fhir_practitioner
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by id
        order by extracted_at desc, take_seq desc, last_updated desc nulls last, source_line desc, row_hash desc
    ) = 1
),

practitioner_role as (
    select id, practitioner.reference as reference, practitioner.identifier as logical
    from raw.fhir_practitioner_role
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by id
        order by extracted_at desc, take_seq desc, last_updated desc nulls last, source_line desc, row_hash desc
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
