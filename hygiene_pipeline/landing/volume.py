"""Whether the sources brought enough to decide on: a source that fell silent must stop the night, not heal it.

What lies in the landing folder now is compared, place by place, with what lay there at the last run that passed.
A place that never brought anything has nothing to compare with; only a required one stops the night then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from hygiene_pipeline.policies.models import DeliveryPolicy


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Records a place offers now and offered before; `previous` None if it never brought any."""

    place: str
    records: int
    previous: int | None
    passed: bool

    @property
    def reason(self) -> str:
        """One line for a person: what came, and what is asked for."""
        if self.previous is None:
            return "nothing was ever delivered" if not self.records else "first delivery"
        if not self.records:
            return "brought nothing; it had records before"
        return (
            "enough"
            if self.passed
            else "brought far less than before; raise or lower policies.delivery to let it through"
        )


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The history of volumes."""
    con.execute(
        """create table if not exists raw.delivery (
             as_of timestamptz, place varchar, records bigint, previous bigint, passed boolean)"""
    )


def judge(
    con: duckdb.DuckDBPyConnection,
    policy: DeliveryPolicy,
    present: Mapping[str, Sequence[str]],
    *,
    as_of: datetime,
) -> list[Volume]:
    """Judge and remember the volume of every place in `present` (its content ids); call inside a transaction."""
    volumes = []
    for place, file_ids in present.items():
        limit = policy.places.get(place)
        if limit is None:
            continue
        records = _records(con, place, file_ids)
        previous = _previous(con, place, as_of)
        floor = max(1, previous * limit.min_share) if previous else (1 if limit.is_required else 0)
        passed = records >= floor
        volumes.append(Volume(place=place, records=records, previous=previous, passed=passed))
        con.execute("delete from raw.delivery where as_of = ? and place = ?", [as_of, place])
        con.execute("insert into raw.delivery values (?, ?, ?, ?, ?)", [as_of, place, records, previous, passed])
    return volumes


def _records(con: duckdb.DuckDBPyConnection, place: str, file_ids: Sequence[str]) -> int:
    row = con.execute(
        """select coalesce(sum(records), 0) from (
             select distinct file_id, records from raw.landing_file
             where place = ? and list_contains(cast(? as varchar[]), file_id))""",
        [place, list(file_ids)],
    ).fetchone()
    return int(row[0]) if row else 0


def _previous(con: duckdb.DuckDBPyConnection, place: str, as_of: datetime) -> int | None:
    row = con.execute(
        """select records from raw.delivery where place = ? and as_of < ? and passed and records > 0
           order by as_of desc limit 1""",
        [place, as_of],
    ).fetchone()
    return int(row[0]) if row else None
