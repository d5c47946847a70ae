"""The SQL by which a message moves through the ledger: planned, sending, and then what became of it.

`sending` is written before the provider is called: what a crash leaves in that state may have arrived, so it is never
handed over again. `unconfirmed` is what the provider cannot tell either.
"""

# What a file of the day holds: what files already carried that day, and what this pass adds.
OF_THE_DAY = """
select message_id, contact_id, channel, address_kind, template, coalesce(sent_at, $sent_at) as sent_at
from sync.message
where
    list_contains($channels::varchar[], channel)
    and (
        (state = 'sent' and coalesce(provider, 'files') = 'files' and planned_at >= $begins and planned_at < $ends)
        or (state = 'planned' and planned_at = $as_of)
    )
order by sent_at, message_id
"""

SENT_IN_FILES = """
update sync.message
set state = 'sent', sent_at = $sent_at, provider = 'files'
where state = 'planned' and planned_at = $as_of and list_contains($channels::varchar[], channel)
"""

_ADDRESSED = """
select
    message.message_id,
    message.contact_id,
    message.template,
    contact.address,
    message.sent_at,
    message.address_key
from sync.message as message
inner join (
    select contact_id, 'email' as kind, email as address
    from staging.crm_contact
    union all
    select contact_id, 'alternate_phone' as kind, alternate_phone as address
    from staging.crm_contact
) as contact
    on contact.contact_id = message.contact_id and contact.kind = message.address_kind and contact.address is not null
"""

TO_SEND = f"""
{_ADDRESSED}
where message.state = 'planned' and message.planned_at = $as_of and message.channel = $channel
order by message.contact_id
"""

INTERRUPTED = f"""
{_ADDRESSED}
where message.state = 'sending' and message.channel = $channel and message.provider = $provider
order by message.contact_id
"""

BEGIN = """
update sync.message
set state = 'sending', sent_at = $at, provider = $provider, address_key = $address_key, code = null
where message_id = $message_id and state = 'planned'
"""

SETTLE = """
update sync.message
set
    state = $state,
    reason = $reason,
    vendor_id = coalesce($vendor_id, vendor_id),
    code = $code,
    cost_usd = coalesce($cost_usd, cost_usd),
    sent_at = case when $state = 'planned' then null else sent_at end,
    address_key = case when $state = 'planned' then null else address_key end
where message_id = $message_id and state = 'sending'
"""

# Carriers tell within days what became of a text; after that nobody asks any more.
TO_FOLLOW = """
select message_id, contact_id, vendor_id
from sync.message
where
    state = 'sent'
    and provider = $provider
    and channel = $channel
    and vendor_id is not null
    and cost_usd is null
    and sent_at between $at - interval 3 day and $at
order by sent_at, message_id
limit 500
"""

FOLLOWED = """
update sync.message
set state = $state, reason = $reason, code = $code, cost_usd = coalesce($cost_usd, cost_usd)
where message_id = $message_id and state = 'sent'
"""

# Interrupted, and nobody is left who could be asked.
GIVE_UP = "update sync.message set state = 'unconfirmed', reason = 'interrupted' where state = 'sending'"
