"""A practice with a lookup vendor on 127.0.0.1, and a warehouse that holds a plan of numbers and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from hygiene_pipeline.landing import tabular
from hygiene_pipeline.policies.tables import write_policy_tables
from hygiene_pipeline.practice import Practice, load_practice
from hygiene_pipeline.sync import lookup_tables
from hygiene_pipeline.warehouse import Warehouse, open_warehouse
from hygiene_pipeline_tests.phone.vendor_server import PATIENCE_SECONDS
from hygiene_pipeline_tests.shapes import PRACTICE

AS_OF = datetime.fromisoformat("2026-03-20T07:00:00+00:00")
PACKAGES = ["line_status", "line_type_intelligence"]
PRICE = 0.015
SECRET = "secret-of-the-vendor"
_KEY = "ab" * 32


def number(place: int) -> str:
    return f"+1617{place:07}"


class LookupBed:
    """The folders of one practice below `root`; each `warehouse()` opens the file anew, as another process would."""

    def __init__(self, root: Path, url: str = "https://vendor.test", **lookup: Any) -> None:
        self.root = root
        self.keys = root / "keys"
        twilio = {"kind": "twilio", "account_sid": "AC00000000", "base_url": url, "per_second": 1000}
        self.content: dict[str, Any] = {
            **PRACTICE,
            "phone_lookup": {**twilio, "timeout_seconds": PATIENCE_SECONDS, **lookup},
            "baa": [{"vendor": "twilio", "signed_on": "2026-01-15"}],
        }
        (self.keys / PRACTICE["practice"]).mkdir(parents=True, exist_ok=True)
        self.key_file = self.keys / PRACTICE["practice"] / f"{self.content['phone_lookup']['kind']}.key"
        self.key_file.write_text(SECRET + "\n")
        self.save()

    def save(self) -> None:
        """Write the practice file from `content`."""
        (self.root / f"{PRACTICE['practice']}.yaml").write_text(yaml.safe_dump(self.content))

    @property
    def practice(self) -> Practice:
        return load_practice(self.root, PRACTICE["practice"])

    @contextmanager
    def warehouse(self) -> Iterator[Warehouse]:
        with open_warehouse(self.root / "warehouse.duckdb", key=_KEY) as warehouse:
            yield warehouse

    def lay_plan(self, count: int, *, as_of: datetime = AS_OF, left_out: Sequence[int] = ()) -> None:
        """A night's clock and policies, and a plan of so many numbers."""
        with self.warehouse() as warehouse, warehouse.transaction():
            con = warehouse.con
            tabular.create_tables(con)
            lookup_tables.create_tables(con)
            write_policy_tables(con, self.practice, as_of=as_of)
            con.execute("create table if not exists staging.phone_number (raw varchar, e164 varchar)")
            con.execute(
                f"""create or replace table hygiene.phone_validation_plan as
                select '+1617' || lpad(place::varchar, 7, '0') as phone, place + 1 as rank,
                  {PACKAGES} as packages, null::date as last_confirmed_on, {PRICE} as estimated_cost,
                  list_contains($left_out::bigint[], place) as is_left_out, null::timestamptz as asked_at
                from range({count}) as numbers(place)""",
                {"left_out": list(left_out)},
            )

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self.warehouse() as warehouse:
            result = warehouse.con.execute(sql, list(values))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def states(self) -> dict[str, int]:
        """How many calls the ledger holds in each state."""
        found = self.rows("select state, count(*) as calls from sync.phone_lookup_call group by state")
        return {row["state"]: row["calls"] for row in found}
