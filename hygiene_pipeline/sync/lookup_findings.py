"""Whether tonight's phone lookups could be asked for: agreement, secret, credentials, money. Buys nothing."""

from collections.abc import Iterator
from datetime import datetime

import duckdb

from hygiene_pipeline.failures import HygieneError, TransientError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.keys import WAREHOUSE, find_key
from hygiene_pipeline.sync.lookup_vendor import paid_part, phone_lookup
from hygiene_pipeline.warehouse import Warehouse, open_warehouse

_SUBJECT = "phone lookups"
_BUDGET = "phone lookup budget"
_SPENT = "select coalesce(sum(spent_usd), 0) from metrics.phone_spend where month = date_trunc('month', $1::date)"
_PLANNED = """
select count(*), coalesce(sum(estimated_cost), 0), min(estimated_cost) from hygiene.phone_validation_plan
"""


def lookup_findings(practice: Practice, folders: Folders, *, at: datetime) -> Iterator[Finding]:
    """What stands between tonight's plan and its answers.

    The vendor is asked for what it gives for nothing, about the practice's own number. A vendor that does not answer
    now may do so tonight, and without money the rest of the night is done all the same: neither is fatal.
    """
    part = paid_part(practice)
    if part is None:
        words = {"files": "files: the numbers go to outbox, answers come back through landing/phone", "off": "off"}
        yield Finding(subject=_SUBJECT, is_fine=True, told=words[practice.phone_lookup.kind])
        return
    try:
        service = phone_lookup(practice, folders.keys, at=at)
        try:
            told = service.examine(practice.phone)
        finally:
            service.close()
    except HygieneError as error:
        is_fatal = not isinstance(error, TransientError)
        yield Finding(subject=_SUBJECT, is_fine=False, told=str(error), is_fatal=is_fatal)
    else:
        asked = ", ".join(part.asked_packages) or "one lookup a number"
        yield Finding(subject=_SUBJECT, is_fine=True, told=f"{practice.phone_lookup.kind}: {told}; asks for {asked}")
    yield _budget(practice, folders, at=at)


def _budget(practice: Practice, folders: Folders, *, at: datetime) -> Finding:
    path = folders.of(practice.practice).warehouse
    try:
        key = find_key(folders.keys, practice.practice, WAREHOUSE)
        if not path.exists() or key is None:
            return _money(practice, spent=0.0, due=0, cost=0.0, price=None)
        with open_warehouse(path, key=key, wait_seconds=5) as warehouse:
            spent = warehouse.rows(_SPENT, [at.astimezone(practice.zone).date()]) if _has(warehouse, _SPENT) else []
            planned = warehouse.rows(_PLANNED) if _has(warehouse, _PLANNED) else []
    except HygieneError as error:
        return Finding(subject=_BUDGET, is_fine=False, told=f"not known: {error}", is_fatal=False)
    due, cost, price = planned[0] if planned else (0, 0, None)
    return _money(
        practice,
        spent=_dollars(spent[0][0]) if spent else 0.0,
        due=int(str(due)),
        cost=_dollars(cost),
        price=None if price is None else _dollars(price),
    )


def _money(practice: Practice, *, spent: float, due: int, cost: float, price: float | None) -> Finding:
    """The month's money; `due` numbers of the last plan would cost `cost`, the cheapest of them `price`."""
    budget = practice.policies.phone.monthly_budget_usd
    plan = f"the last plan holds {due:,} numbers for ${cost:,.2f}" if due else "no plan yet, or nothing due"
    if budget is None:
        told = f"no limit (policies.phone.monthly_budget_usd); ${spent:,.2f} spent this month; {plan}"
        return Finding(subject=_BUDGET, is_fine=True, told=told)
    left = budget - spent
    told = f"${left:,.2f} left of ${budget:,.2f} this month; {plan}"
    is_enough = left > 0 and left >= (price or 0)
    if not is_enough:
        told = f"{told}; too little for one of them: raise policies.phone.monthly_budget_usd, or wait for the month"
    return Finding(subject=_BUDGET, is_fine=is_enough, told=told, is_fatal=False)


def _has(warehouse: Warehouse, query: str) -> bool:
    """Whether the table of a query is there; a practice that was never run has none."""
    try:
        warehouse.con.execute(f"explain {query.replace('$1', 'null')}")
    except duckdb.CatalogException:
        return False
    return True


def _dollars(value: object) -> float:
    return float(str(value))
