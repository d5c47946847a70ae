"""Inquiries that the plan asks for, as a file from which a PM or clearinghouse makes its 270s.

Nobody answers at once: answers come back as eligibility files, and each bears the `check_id` of its inquiry.
"""

import csv
from io import StringIO
from pathlib import Path

import duckdb

from hygiene_pipeline.private_files import write_whole
from hygiene_pipeline.sync.counting import count_of

FILE = Path("eligibility") / "checks_due.csv"
COLUMNS = (
    "check_id",
    "pm_patient_id",
    "payer_id",
    "payer_name",
    "member_id",
    "service_type",
    "service_date",
    "reason",
    "next_visit_on",
)
_LATER_NIGHTS = "select count(*) from history.night where as_of > (select as_of from policy.clock)"
_DUE = """
select
    check_id, pm_patient_id, payer_id, payer_name, member_id, $service_type, service_date::varchar, reason,
    next_visit_on::varchar
from hygiene.eligibility_recheck_plan
where not is_left_out
order by rank
"""


def write_inquiries(con: duckdb.DuckDBPyConnection, outbox: Path, *, service_type: str) -> int:
    """Make `eligibility/checks_due.csv` in the outbox name exactly the inquiries due, the most urgent first.

    `service_type` is the X12 code that is asked about: 30, health benefit plan coverage, unless a policy says another.

    With nothing due it holds its header alone, so that yesterday's are not asked again; an unchanged file is left as
    it is. A replay of an earlier time writes none. Returns how many are due.
    """
    rows = con.execute(_DUE, {"service_type": service_type}).fetchall()
    if count_of(con, _LATER_NIGHTS, {}):
        return len(rows)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    path = outbox / FILE
    if not path.exists() or path.read_text(encoding="utf-8") != text.getvalue():
        write_whole(path, text.getvalue())
    return len(rows)
