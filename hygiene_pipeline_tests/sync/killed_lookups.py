"""A night's lookups in a process of its own, which says after each commit how many answers are kept.

Run as `python -m hygiene_pipeline_tests.sync.killed_lookups FOLDER URL CONCURRENCY`.
"""

import sys
from pathlib import Path

from hygiene_pipeline.phone.lookup_run import Turn
from hygiene_pipeline.sync.lookup_ledger import LookupLedger
from hygiene_pipeline.sync.lookup_vendor import pace_of, phone_lookup
from hygiene_pipeline.sync.paid_lookups import run_lookups
from hygiene_pipeline_tests.sync.lookup_bed import AS_OF, PRICE, LookupBed


class TellingLedger(LookupLedger):
    """A ledger that tells how many answers it has kept."""

    kept = 0

    def write(self, turn: Turn) -> None:
        super().write(turn)
        self.kept += len(turn.outcomes)
        sys.stdout.write(f"{self.kept}\n")
        sys.stdout.flush()


def main(folder: Path, url: str, concurrency: int) -> None:
    bed = LookupBed(folder, url, concurrency=concurrency)
    with bed.warehouse() as warehouse:
        prices = {"line_status": PRICE / 2, "line_type_intelligence": PRICE / 2}
        ledger = TellingLedger(warehouse, as_of=AS_OF, provider="twilio", prices=prices)
        ledger.begin()
        part = bed.practice.phone_lookup
        run_lookups(ledger, phone_lookup(bed.practice, bed.keys, at=AS_OF), pace_of(part))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
