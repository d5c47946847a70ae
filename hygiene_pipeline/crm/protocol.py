"""The port to a CRM: what it shows, and a write that happens only if it still shows what the decision was taken on.

An adapter implements this and nothing more. It decides nothing: which value is right is settled before it is called.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

CONTACT_COLUMNS = (
    "contact_id",
    "mrn",
    "first_name",
    "last_name",
    "birth_date",
    "sex",
    "phone",
    "alternate_phone",
    "email",
    "address_line",
    "city",
    "state",
    "postal_code",
    "insurance_payer_id",
    "insurance_payer",
    "insurance_member_id",
    "insurance_status",
    "care_status",
    "segments",
    "referring_provider_npi",
    "last_phone_verified",
    "preferred_channel",
    "sms_opt_out",
    "email_opt_out",
    "call_opt_out",
    "owner",
    "is_active",
    "last_modified",
)
"""The columns of `crm/contacts.csv`, in its order: the shape of a contact in every CRM."""

WRITABLE_FIELDS = frozenset(CONTACT_COLUMNS) - {"contact_id", "mrn", "last_modified"}


class Outcome(StrEnum):
    """What came of one write."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    """This very change was written before; the bookkeeping was lost, the write was not."""
    HANDED_OVER = "handed_over"
    """Written to an import file; only the next extract can show whether the CRM took it."""
    CONFLICT = "conflict"
    """The CRM no longer shows the expected value."""
    NOT_FOUND = "not_found"
    FAILED = "failed"
    """The CRM could not be reached or was busy: the same write may succeed later."""


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A contact as the CRM shows it now. `version` differs whenever anything about it was changed."""

    contact_id: str
    version: str
    fields: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A second field that must still show `value`: a member id belongs to a payer, a verification to a number."""

    field: str
    value: str | None

    def __post_init__(self) -> None:
        if self.field not in CONTACT_COLUMNS:
            raise ValueError(f"a contact has no field {self.field!r}")


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field of one contact: `expected` as the CRM shows it (None is empty), `value` as it shall be.

    `change_id` makes the write idempotent. Only a change that `restores` an earlier one may empty a field.
    """

    change_id: str
    contact_id: str
    field: str
    expected: str | None
    value: str | None
    given: Given | None = None
    restores: str | None = None

    def __post_init__(self) -> None:
        if self.field not in WRITABLE_FIELDS:
            raise ValueError(f"the field {self.field!r} of a contact is never written")
        if self.value is None and self.restores is None:
            raise ValueError(f"change {self.change_id}: a missing value never replaces {self.field!r}")


@dataclass(frozen=True, kw_only=True)
class WriteResult:
    """What came of one change; if it was written, the text it replaced and when."""

    change_id: str
    outcome: Outcome
    before: str | None = None
    written_at: datetime | None = None


class CrmWriter(ABC):
    """Takes field changes. All that a CRM without an API offers."""

    batch_size: int
    """How many changes one call of `write` may carry."""

    @abstractmethod
    def write(self, changes: Sequence[FieldChange], *, at: datetime) -> list[WriteResult]:
        """Write each change if the contact still shows `expected` (and `given`); one result a change, in order.

        Each change happens whole or not at all, and not twice: a known `change_id` is answered with
        `ALREADY_APPLIED` before anything is compared.
        """

    def undo(self, changes: Sequence[FieldChange], *, at: datetime) -> list[WriteResult]:
        """Put back what applied changes replaced (`expected`), unless the field was changed again since."""
        return self.write([_reversed(change) for change in changes], at=at)


class Crm(CrmWriter):
    """A CRM that can be read at any time."""

    @abstractmethod
    def read_contacts(self) -> Iterator[dict[str, str | None]]:
        """Every contact with all of CONTACT_COLUMNS, all as of one moment, ordered by contact_id."""

    @abstractmethod
    def fetch(self, contact_ids: Collection[str]) -> dict[str, Contact]:
        """These contacts as they are now, by id; one the CRM does not know is absent."""


def _reversed(change: FieldChange) -> FieldChange:
    return FieldChange(
        change_id=f"{change.change_id}:undo",
        contact_id=change.contact_id,
        field=change.field,
        expected=change.value,
        value=change.expected,
        restores=change.change_id,
    )
