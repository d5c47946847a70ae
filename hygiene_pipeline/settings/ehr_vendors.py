"""What is known of the bulk exports of three EHR vendors: what they can do, and what they are better not asked for.

From the vendors' own pages and from what others met in the field. A practice file may set every one of these itself;
only what a vendor cannot do at all is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["system", "patient", "group"]


@dataclass(frozen=True, kw_only=True)
class EhrVendor:
    """A vendor's limits; `is_incremental` and `is_lenient` are defaults that a practice file may turn.

    `longest_wait_seconds` is how seldom the vendor wants to be polled; `keeps_days` how long it keeps an export.
    """

    called: str
    levels: tuple[Level, ...]
    is_incremental: bool = True
    is_lenient: bool = False
    takes_type_filter: bool = True
    longest_wait_seconds: float = 600
    keeps_days: int = 30


UNKNOWN = EhrVendor(called="this server", levels=("system", "patient", "group"))

VENDORS: Mapping[str, EhrVendor] = {
    # Many resources have no meta.lastUpdated there, so `_since` misses changes; exports take long and end all at once.
    "epic": EhrVendor(called="Epic", levels=("group",), is_incremental=False, longest_wait_seconds=1800),
    # All patients are exported only by an explicit list of them. Unknown parameters are skipped if asked kindly.
    "oracle_health": EhrVendor(
        called="Oracle Health", levels=("group",), is_lenient=True, longest_wait_seconds=1800, keeps_days=30
    ),
    "athenahealth": EhrVendor(called="athenahealth", levels=("group",), takes_type_filter=False),
}


def vendor_named(name: str | None) -> EhrVendor:
    """The vendor of that name as a practice file writes it, or one of which nothing is known."""
    return VENDORS.get((name or "").strip().casefold(), UNKNOWN)
