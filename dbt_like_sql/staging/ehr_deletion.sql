-- What the EHR no longer has, as the deletions in its exports say. One row per resource type and id.
with deletion as (
    select
        regexp_extract(
            one.request.url, '(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/.*)?$', 1
        ) as resource_type,
        regexp_extract(
            one.request.url, '(?:^|/)[A-Z][A-Za-z]+/([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$', 1
        ) as resource_id,
        coalesce(last_updated, extracted_at) as deleted_at,
    from (
        select unnest(entry) as one, last_updated, extracted_at
        from raw.fhir_bundle
        where type = 'transaction' and extracted_at <= (select as_of from policy.clock)
    )
    where one.request.method = 'DELETE'
)

select resource_type, resource_id, max(deleted_at) as deleted_at
from deletion
where resource_id <> ''
group by resource_type, resource_id
