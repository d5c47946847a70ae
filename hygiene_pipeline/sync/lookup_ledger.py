"""Writes the ledger of paid lookups: what goes out before it goes, each answer as it comes, in one commit a turn.

One thread writes. A call that the ledger shows as `asked` after its process is gone was under way or stood next in
line: it becomes `lost`, counts as charged, and its number is asked again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from hygiene_pipeline.phone.lookup_run import LookupOutcome, Turn
from hygiene_pipeline.phone.protocol import LookupAnswer, LookupRequest
from hygiene_pipeline.warehouse import Warehouse

# Answered since the plan was made: by this night before it was run again, or by a run that the plan knows nothing of.
_DUE = """
with spent as (
    select coalesce(sum(call.cost_usd), 0) as usd
    from sync.phone_lookup_call as call
    cross join policy.clock as clock
    where date_trunc('month', call.asked_at at time zone clock.timezone) = date_trunc('month', clock.as_of_date)
),
elsewhere as (
    select coalesce(sum(cost_usd), 0) as usd
    from (
        select distinct number.e164, lookup.checked_at, lookup.provider, phone.lookup_price_usd as cost_usd
        from raw.phone_lookups as lookup
        inner join staging.phone_number as number on number.raw = lookup.phone and number.e164 is not null
        cross join policy.clock as clock
        cross join policy.phone as phone
        where lookup.extracted_at <= clock.as_of and lookup.checked_at <= clock.as_of
            and date_trunc('month', lookup.checked_at at time zone clock.timezone)
            = date_trunc('month', clock.as_of_date)
    )
),
due as (
    select plan.phone, plan.packages, plan.last_confirmed_on, plan.estimated_cost, plan.rank
    from hygiene.phone_validation_plan as plan
    where not plan.is_left_out and not exists (
        select 1
        from sync.phone_lookup_call as call
        where call.phone = plan.phone
            and call.state in ('answered', 'refused')
            and coalesce(call.asked_at > plan.asked_at, true)
    )
),
costed as (
    select due.*, sum(estimated_cost) over (order by rank rows between unbounded preceding and current row) as cost
    from due
)
select costed.phone, costed.packages, costed.last_confirmed_on
from costed
cross join policy.phone as phone
cross join spent
cross join elsewhere
where coalesce(costed.cost <= phone.monthly_budget_usd - spent.usd - elsewhere.usd + 0.000001, true)
order by costed.rank
"""

_LOST = "update sync.phone_lookup_call set state = 'lost' where state = 'asked'"

_ASKED = """
insert into sync.phone_lookup_call
    (call_no, phone, provider, packages, last_confirmed_on, asked_at, state, cost_usd)
select
    unnest($call_nos::bigint[]), unnest($phones::varchar[]), $provider, unnest($packages::varchar[][]),
    unnest($since::date[]), $as_of, 'asked', unnest($costs::double[])
"""

_SETTLED = """
update sync.phone_lookup_call as call
set
    state = told.state,
    cost_usd = told.cost_usd,
    valid = told.valid,
    is_assignable = told.is_assignable,
    line_type = told.line_type,
    line_status = told.line_status,
    reassigned = told.reassigned,
    carrier = told.carrier,
    package_errors = told.package_errors,
    error = told.error
from (
    select
        unnest($call_nos::bigint[]) as call_no,
        unnest($states::varchar[]) as state,
        unnest($costs::double[]) as cost_usd,
        unnest($valids::boolean[]) as valid,
        unnest($assignables::boolean[]) as is_assignable,
        unnest($line_types::varchar[]) as line_type,
        unnest($line_statuses::varchar[]) as line_status,
        unnest($reassigneds::varchar[]) as reassigned,
        unnest($carriers::varchar[]) as carrier,
        unnest($package_errors::varchar[][]) as package_errors,
        unnest($errors::varchar[]) as error
) as told
where call.call_no = told.call_no
"""

_BEGUN = """
insert into sync.phone_lookup_run
    (asked_at, provider, planned, planned_cost_usd, left_out, left_out_cost_usd)
select
    $as_of, $provider,
    count(*) filter (not is_left_out), round(coalesce(sum(estimated_cost) filter (not is_left_out), 0), 6),
    count(*) filter (is_left_out), round(coalesce(sum(estimated_cost) filter (is_left_out), 0), 6)
from hygiene.phone_validation_plan
"""

_ENDED = """
update sync.phone_lookup_run
set
    answered = calls.answered,
    failed = calls.failed,
    lost = calls.lost,
    cost_usd = calls.cost_usd,
    stopped_by = $stopped_by,
    stopped_packages = $stopped_packages::varchar[]
from (
    select
        count(*) filter (state in ('answered', 'refused')) as answered,
        count(*) filter (state = 'failed') as failed,
        count(*) filter (state = 'lost') as lost,
        round(coalesce(sum(cost_usd), 0), 6) as cost_usd
    from sync.phone_lookup_call
    where asked_at = $as_of
) as calls
where phone_lookup_run.asked_at = $as_of
"""


class LookupLedger:
    """The ledger of one night's calls to one provider. Prices are US dollars a package."""

    def __init__(self, warehouse: Warehouse, *, as_of: datetime, provider: str, prices: Mapping[str, float]) -> None:
        self._warehouse = warehouse
        self._as_of = as_of
        self._provider = provider
        self._prices = prices
        self._last_no = int(str(warehouse.value("select coalesce(max(call_no), 0) from sync.phone_lookup_call")))
        self._open: dict[LookupRequest, int] = {}

    def begin(self) -> None:
        """Write down what the night means to ask and to spend; what a dead run left open is lost."""
        with self._warehouse.transaction():
            self._warehouse.con.execute(_LOST)
            self._warehouse.con.execute("delete from sync.phone_lookup_run where asked_at = $1", [self._as_of])
            self._warehouse.con.execute(_BEGUN, {"as_of": self._as_of, "provider": self._provider})

    def due(self) -> list[LookupRequest]:
        """What the plan wants asked and nobody has answered since, as far as the month's money reaches."""
        return [
            LookupRequest(phone=str(phone), packages=_words(packages), last_confirmed_on=_day(since))
            for phone, packages, since in self._warehouse.rows(_DUE)
        ]

    def write(self, turn: Turn) -> None:
        """One commit: these outcomes are kept, and those numbers may go out."""
        with self._warehouse.transaction():
            if turn.outcomes:
                self._settle(turn.outcomes)
            if turn.asked:
                self._note(turn.asked)

    def end(self, *, stopped_by: str | None, stopped_packages: Sequence[str]) -> None:
        """Sum the night up."""
        told = {"as_of": self._as_of, "stopped_by": stopped_by, "stopped_packages": list(stopped_packages)}
        with self._warehouse.transaction():
            self._warehouse.con.execute(_ENDED, told)

    def _note(self, requests: Sequence[LookupRequest]) -> None:
        numbers = range(self._last_no + 1, self._last_no + 1 + len(requests))
        self._last_no += len(requests)
        self._open |= dict(zip(requests, numbers, strict=True))
        self._warehouse.con.execute(
            _ASKED,
            {
                "call_nos": list(numbers),
                "phones": [each.phone for each in requests],
                "provider": self._provider,
                "packages": [list(each.packages) for each in requests],
                "since": [each.last_confirmed_on for each in requests],
                "as_of": self._as_of,
                "costs": [self._cost(each.packages) for each in requests],
            },
        )

    def _settle(self, outcomes: Sequence[LookupOutcome]) -> None:
        answers = [each.answer or LookupAnswer(phone=each.request.phone) for each in outcomes]
        self._warehouse.con.execute(
            _SETTLED,
            {
                "call_nos": [self._open.pop(each.request) for each in outcomes],
                "states": [each.state for each in outcomes],
                "costs": [self._cost(each.answered) for each in answers],
                "valids": [each.valid for each in answers],
                "assignables": [each.is_assignable for each in answers],
                "line_types": [each.line_type for each in answers],
                "line_statuses": [each.line_status for each in answers],
                "reassigneds": [each.reassigned for each in answers],
                "carriers": [each.carrier for each in answers],
                "package_errors": [
                    [f"{failure.package}:{failure.code}" for failure in each.failures] for each in answers
                ],
                "errors": [each.told for each in outcomes],
            },
        )

    def _cost(self, packages: Sequence[str]) -> float:
        return sum(self._prices.get(package, 0.0) for package in packages)


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _day(value: object) -> date | None:
    return value if isinstance(value, date) else None
