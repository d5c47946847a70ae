"""The outbox: plan what the CRM shall show, write it if the CRM still shows what the plan saw, take it back.

Each step may be killed anywhere and run again: the ledger `sync.crm_change` is moved on by single statements, and
the CRM knows every change it took by its id.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

import duckdb

from hygiene_pipeline.crm.protocol import Crm, CrmWriter, FieldChange, Given, Outcome, WriteResult
from hygiene_pipeline.sync import ledger, wanted
from hygiene_pipeline.sync.counting import count_of
from hygiene_pipeline.sync.pending import WRITTEN, Fresh, PendingChange, settled_state

SyncMode = Literal["off", "dry_run", "apply"]

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What planning did to the ledger."""

    wanted: int
    new: int
    dropped: int


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What came of the pending changes; in a dry run, what would have come of them.

    `is_held_back`: the ledger knows a newer write than `as_of`, so this is a replay, and a replay writes nothing.
    """

    considered: int = 0
    applied: int = 0
    handed_over: int = 0
    conflicts: int = 0
    failed: int = 0
    is_held_back: bool = False


@dataclass(frozen=True, kw_only=True)
class Undone:
    """How many changes were taken back, and how many stay because someone changed the field since."""

    undone: int
    kept: int


def sync_id_of(as_of: datetime) -> str:
    """The name of the pass of that time; every change it wrote bears it."""
    return f"sync-{as_of.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def plan_changes(con: duckdb.DuckDBPyConnection, *, as_of: datetime, only_touched: bool = False) -> Planned:
    """Bring the planned changes in line with what is decided now; nothing is written to the CRM.

    `only_touched`: of the contacts in `sync.touched_contact`, the only ones of whom anything is decided anew. A replay
    (the ledger knows later passes) adds what its time wanted and touches nothing else.
    """
    now = {"as_of": as_of}
    con.execute(wanted.TOUCHED_CONTACTS if only_touched else wanted.EVERY_CONTACT)
    con.execute(wanted.SHOWN)
    con.execute(wanted.WANTED, now)
    con.execute(ledger.OPEN_VALUES)
    con.execute("drop table shown_value")
    dropped = 0
    if not count_of(con, ledger.LATER_PASSES, now):
        con.execute(ledger.SEEN_IN_EXTRACT, {**now, "sync_id": sync_id_of(as_of)})
        dropped = count_of(con, ledger.NO_LONGER_WANTED, {**now, "is_everybody": not only_touched})
    planned = Planned(
        wanted=count_of(con, "select count(*) from wanted_change", {}),
        new=count_of(con, ledger.NEWLY_WANTED, now),
        dropped=dropped,
    )
    con.execute("drop table wanted_change")
    con.execute("drop table open_value")
    con.execute("drop table considered_contact")
    con.execute("delete from sync.touched_contact")
    return planned


def apply_changes(
    con: duckdb.DuckDBPyConnection,
    crm: CrmWriter,
    *,
    as_of: datetime,
    mode: SyncMode,
    on_progress: Callable[[int, int], None] | None = None,
) -> Applied:
    """Write what is planned, a batch at a time, each contact read fresh just before.

    Call it outside a transaction, so that the ledger keeps what each batch settled.
    """
    if mode == "off":
        return Applied()
    if count_of(con, ledger.LATER_WRITES, {"as_of": as_of}):
        return Applied(is_held_back=True)
    pending = _pending(con, as_of)
    states: Counter[str] = Counter()
    done = 0
    for batch in _batches(pending, crm.batch_size):
        fresh = crm.fetch({change.contact_id for change in batch}) if isinstance(crm, Crm) else None
        if mode == "dry_run":
            states.update(change.foreseen_state(fresh) for change in batch)
        else:
            results = crm.write([change.against(fresh) for change in batch], at=as_of)
            states.update(_settle(con, batch, results, fresh=fresh, as_of=as_of))
        done += len(batch)
        if on_progress:
            on_progress(done, len(pending))
    return Applied(
        considered=len(pending),
        applied=states["applied"],
        handed_over=states["planned"],
        conflicts=states["conflict"],
        failed=states["failed"],
    )


def undo_changes(
    con: duckdb.DuckDBPyConnection,
    crm: CrmWriter,
    *,
    as_of: datetime,
    change_ids: Collection[str] = (),
    sync_id: str | None = None,
) -> Undone:
    """Put back what these changes, or all changes of one pass, replaced; a field changed since stays as it is.

    Later writes go first, so a field written twice ends where it began. An undone value is not planned again
    before there is newer evidence for it.
    """
    rows = con.execute(ledger.UNDOABLE, {"change_ids": list(change_ids), "sync_id": sync_id}).fetchall()
    changes = [
        FieldChange(change_id=change_id, contact_id=contact_id, field=field, expected=before, value=new)
        for change_id, contact_id, field, before, new in rows
    ]
    undone = 0
    for batch in _batches(changes, crm.batch_size):
        results = zip(batch, crm.undo(batch, at=as_of), strict=True)
        taken_back = [
            change.change_id for change, result in results if result.outcome in WRITTEN | {Outcome.HANDED_OVER}
        ]
        con.execute(ledger.UNDONE, {"change_ids": taken_back, "as_of": as_of})
        undone += len(taken_back)
    return Undone(undone=undone, kept=len(changes) - undone)


def _pending(con: duckdb.DuckDBPyConnection, as_of: datetime) -> list[PendingChange]:
    rows = con.execute(ledger.PENDING, {"as_of": as_of}).fetchall()
    return [
        PendingChange(
            change_id=change_id,
            contact_id=contact_id,
            field=field,
            old_value=old_value,
            new_value=new_value,
            given=Given(field=given_field, value=given_value) if given_field else None,
        )
        for change_id, contact_id, field, old_value, new_value, given_field, given_value in rows
    ]


def _settle(
    con: duckdb.DuckDBPyConnection,
    batch: Sequence[PendingChange],
    results: Sequence[WriteResult],
    *,
    fresh: Fresh,
    as_of: datetime,
) -> list[str]:
    """Note in the ledger, in one statement, what came of a batch. Returns the new states."""
    outcomes = list(zip(batch, results, strict=True))
    unreached = {change.contact_id for change, result in outcomes if result.outcome is Outcome.FAILED}
    states = [
        settled_state(change, result.outcome, fresh=fresh, is_unreached=change.contact_id in unreached)
        for change, result in outcomes
    ]
    con.execute(
        ledger.SETTLED,
        {
            "as_of": as_of,
            "change_ids": [change.change_id for change in batch],
            "states": states,
            "before_values": [result.before for result in results],
            "applied_ats": [
                (result.written_at or as_of) if state == "applied" else None
                for state, result in zip(states, results, strict=True)
            ],
            "sync_ids": [
                sync_id_of(result.written_at or as_of) if result.outcome in WRITTEN else None for result in results
            ],
        },
    )
    return states


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
