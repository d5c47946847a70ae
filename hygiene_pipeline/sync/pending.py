"""A planned change meets a contact as it is now: what to expect of the CRM, and what its answer makes of the plan."""

from collections.abc import Mapping
from dataclasses import dataclass

from hygiene_pipeline.crm.protocol import Contact, FieldChange, Given, Outcome
from hygiene_pipeline.sync.comparison import is_unchanged

WRITTEN = frozenset({Outcome.APPLIED, Outcome.ALREADY_APPLIED})

Fresh = Mapping[str, Contact] | None
"""Contacts as the CRM shows them now, by id; None if the CRM cannot be looked at (a CRM of files)."""


@dataclass(frozen=True, kw_only=True)
class PendingChange:
    """A row of the ledger still to be written. `given` must hold too: a verification date belongs to a number."""

    change_id: str
    contact_id: str
    field: str
    old_value: str | None
    new_value: str
    given: Given | None

    def against(self, fresh: Fresh) -> FieldChange:
        """The change in the CRM's own words: where it says the same as the plan saw, its exact text is expected.

        Without a contact to look at the plan's own words stand.
        """
        contact = fresh.get(self.contact_id) if fresh else None
        expected, given = self.old_value, self.given
        if contact and self._is_still_wanted(contact):
            expected = contact.fields[self.field]
        if contact and given:
            shown = contact.fields[given.field]
            if is_unchanged(given.field, fresh=shown, decided_on=given.value, new_value=self.new_value):
                given = Given(field=given.field, value=shown)
        return FieldChange(
            change_id=self.change_id,
            contact_id=self.contact_id,
            field=self.field,
            expected=expected,
            value=self.new_value,
            given=given,
        )

    def foreseen_state(self, fresh: Fresh) -> str:
        """What the ledger would say after writing it now."""
        if fresh is None:
            return "planned"
        contact = fresh.get(self.contact_id)
        return "applied" if contact and self._is_still_wanted(contact) else "conflict"

    def _is_still_wanted(self, contact: Contact) -> bool:
        shown = contact.fields[self.field]
        return is_unchanged(self.field, fresh=shown, decided_on=self.old_value, new_value=self.new_value)


def settled_state(change: PendingChange, outcome: Outcome, *, fresh: Fresh, is_unreached: bool) -> str:
    """What the ledger says after the CRM's answer; `is_unreached`: another field of this contact failed with it."""
    if outcome in WRITTEN:
        return "applied"
    if outcome is Outcome.HANDED_OVER:
        return "planned"
    contact = fresh.get(change.contact_id) if fresh else None
    if contact and (contact.fields[change.field] or "") == change.new_value:
        # Somebody else made it so: done, but not ours to undo.
        return "applied"
    # A member id is not in conflict because its payer could not be written.
    return "failed" if outcome is Outcome.FAILED or is_unreached else "conflict"
