"""A night's paid lookups: the plan's numbers to the vendor, every answer into the ledger as it comes.

Whatever stops the asking stops nothing else: it is written into `sync.phone_lookup_run`, and the night goes on with
what is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hygiene_pipeline.failures import HygieneError, PermanentError
from hygiene_pipeline.phone.lookup_run import LookupRun, Pace
from hygiene_pipeline.phone.protocol import PhoneLookup
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.sync.lookup_ledger import LookupLedger
from hygiene_pipeline.sync.lookup_vendor import pace_of, paid_part, phone_lookup
from hygiene_pipeline.warehouse import Warehouse

# An answer is dated by its night: one that is bought much later would lie about when it was true.
_LATEST_START = timedelta(hours=24)
_CLOCKS_DIFFER = timedelta(hours=1)


class LookupsStoppedError(PermanentError):
    """Not all lookups of a night were asked for; the message says what has to be done."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a night asked, and what it came to, US dollars. `stopped_by` says in a line why not all was asked."""

    planned: int = 0
    answered: int = 0
    failed: int = 0
    lost: int = 0
    cost_usd: float = 0.0
    left_out: int = 0
    stopped_by: str | None = None
    stopped_packages: tuple[str, ...] = ()


def is_latest(warehouse: Warehouse, *, as_of: datetime) -> bool:
    """Whether no run was later than `as_of`; otherwise this one only looks at the past and asks nobody for anything."""
    return not warehouse.value("select count(*) > 0 from history.night where as_of > $1", [as_of])


def is_of_tonight(warehouse: Warehouse, *, as_of: datetime, now: datetime) -> bool:
    """Whether a run at `as_of` may ask a vendor, who answers for the present and is paid."""
    return -_CLOCKS_DIFFER <= now - as_of <= _LATEST_START and is_latest(warehouse, as_of=as_of)


def ask_vendor(warehouse: Warehouse, practice: Practice, keys: Path, *, as_of: datetime) -> Asked:
    """Ask the practice's vendor about what the plan holds, if it has a vendor; a rerun asks what is still open."""
    part = paid_part(practice)
    if part is None:
        return Asked()
    prices = _prices(warehouse)
    ledger = LookupLedger(warehouse, as_of=as_of, provider=practice.phone_lookup.kind, prices=prices)
    ledger.begin()
    try:
        service = phone_lookup(practice, keys, at=as_of)
    except HygieneError as error:
        ledger.end(stopped_by=str(error), stopped_packages=())
    else:
        try:
            run_lookups(ledger, service, pace_of(part))
        finally:
            service.close()
    return night_of(warehouse, as_of=as_of)


def run_lookups(ledger: LookupLedger, service: PhoneLookup, pace: Pace) -> None:
    """Ask for all that is due, and sum it up whatever happens to the vendor."""
    run = LookupRun(service, pace)
    for turn in run.turns(ledger.due()):
        ledger.write(turn)
    ledger.end(
        stopped_by=f"phone_lookup: {run.stopped_by}" if run.stopped_by else None,
        stopped_packages=sorted(run.stopped_packages.values()),
    )


def night_of(warehouse: Warehouse, *, as_of: datetime) -> Asked:
    """What the ledger says of a night."""
    rows = warehouse.rows(
        "select planned, answered, failed, lost, cost_usd, left_out, stopped_by, stopped_packages"
        " from sync.phone_lookup_run where asked_at = $1",
        [as_of],
    )
    for planned, answered, failed, lost, cost, left_out, stopped_by, packages in rows:
        return Asked(
            planned=_count(planned),
            answered=_count(answered),
            failed=_count(failed),
            lost=_count(lost),
            cost_usd=float(str(cost or 0)),
            left_out=_count(left_out),
            stopped_by=str(stopped_by) if stopped_by else None,
            stopped_packages=_lines(packages),
        )
    return Asked()


def _prices(warehouse: Warehouse) -> Mapping[str, float]:
    rows = warehouse.rows("select package, price_usd from policy.phone_lookup_package")
    return {str(package): float(str(price)) for package, price in rows}


def _count(value: object) -> int:
    return int(str(value or 0))


def _lines(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()
