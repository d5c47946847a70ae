"""Every row of the table of referring-provider reasons, and what a person is asked to decide."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from hygiene_pipeline_tests.sql.cases import DECISIONS, RECONCILED, STATUS, Row, ago, lay, links

TODAY = date(2026, 3, 1)
OWN, OTHER = "1003000126", "1003000134"


@dataclass(frozen=True, kw_only=True)
class Case:
    """The providers that CRM and PM show, and the network's entries for the two of them."""

    name: str
    reason: str
    state: str = "stale"
    crm: str | None = OWN
    pm: str | None = OWN
    network: Row | None = field(default_factory=dict)
    other_network: Row | None = None
    in_pm: bool = True
    decision: str | None = None


def ends(days: int) -> Row:
    return {"end_date": TODAY + timedelta(days=days)}


CASES = [
    Case(name="an inactive relationship has ended", reason="relationship_ended", network={"status": "inactive"},
        decision="find_new_provider"),
    Case(name="a relationship whose last day was yesterday has ended", reason="relationship_ended", network=ends(-1),
        decision="find_new_provider"),
    Case(name="on its last day a relationship still stands", reason="confirmed", state="current", network=ends(0)),
    Case(name="a relationship that ends tomorrow stands", reason="confirmed", state="current", network=ends(1)),
    Case(name="an ended relationship is told before another provider", reason="relationship_ended", network=ends(-1),
        pm=OTHER, other_network={}, decision="take_over_from_pm"),
    Case(name="the PM names another provider", reason="provider_mismatch", pm=OTHER, other_network={},
        decision="take_over_from_pm"),
    Case(name="the PM names another provider whom the network does not know", reason="provider_mismatch", pm=OTHER,
        decision="check_provider_in_pm"),
    Case(name="the PM names another provider whose relationship has ended", reason="provider_mismatch", pm=OTHER,
        other_network=ends(-1), decision="check_provider_in_pm"),
    Case(name="another provider is told before not in the network", reason="provider_mismatch", pm=OTHER,
        network=None, other_network={}, decision="take_over_from_pm"),
    Case(name="the network does not know the provider", reason="not_in_network", network=None,
        decision="add_to_network_or_find_new_provider"),
    Case(name="a relationship that begins tomorrow is none yet", reason="not_in_network",
        network={"effective_date": TODAY + timedelta(days=1)}, decision="add_to_network_or_find_new_provider"),
    Case(name="a relationship that begins today stands", reason="confirmed", state="current",
        network={"effective_date": TODAY}),
    Case(name="the CRM names nobody, the PM does", reason="missing", crm=None, decision="take_over_from_pm"),
    Case(name="an empty text names nobody", reason="missing", crm=" ", decision="take_over_from_pm"),
    Case(name="both agree and the network knows the provider", reason="confirmed", state="current"),
    Case(name="the network confirms a provider of whom the PM says nothing", reason="confirmed", state="current",
        pm=None),
    Case(name="the network confirms the provider of a contact outside the PM", reason="confirmed", state="current",
        in_pm=False),
    Case(name="neither names anybody", reason="no_provider_known", state="unknown", crm=None, pm=None),
    Case(name="neither names anybody for a contact outside the PM", reason="no_provider_known", state="unknown",
        crm=None, in_pm=False),
]  # fmt: skip


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, Any]]:
    """Each case under its own pair of providers, so that all of them share one network."""
    contacts, patients, network, members = [], [], [], []
    for index, case in enumerate(CASES):
        name = f"c{index:03}"

        def own(npi: str | None, name: str = name) -> str | None:
            return npi and npi.strip() and f"{npi}-{name}"

        contacts.append({"contact_id": name, "referring_provider_npi": own(case.crm) or case.crm, "is_active": True})
        members.append(("crm", name, f"p-{name}"))
        if case.in_pm:
            patients.append({"pm_patient_id": name, "referring_provider_npi": own(case.pm), "last_updated": ago(7)})
            members.append(("pm", name, f"p-{name}"))
        for npi, row in ((OWN, case.network), (OTHER, case.other_network)):
            if row is not None:
                network.append({"npi": own(npi), "name": f"Dr. {npi}", "status": "active", **row})
    bed = lay({
        "staging.crm_contact": contacts,
        "staging.pm_patient": patients,
        "staging.pm_referral_network": network,
        "identity.patient_link": links(*members),
    })  # fmt: skip
    bed.build(*RECONCILED, *DECISIONS, *STATUS, "hygiene.referral_review")
    rows = bed.rows(
        """select status.*, review.reason as review_reason, review.decision_needed, review.old_npi, review.new_npi
           from hygiene.contact_status as status
           left join hygiene.referral_review as review on review.contact_id = status.contact_id"""
    )
    return {row["contact_id"]: row for row in rows}


@pytest.mark.parametrize(("index", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_referring_provider(verdicts: dict[str, dict[str, Any]], index: int, case: Case) -> None:
    row = verdicts[f"c{index:03}"]
    assert (row["referring_provider_reason"], row["referring_provider_state"]) == (case.reason, case.state)
    assert ("referring_provider" in row["stale_fields"]) == (case.state == "stale")


@pytest.mark.parametrize(("index", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_a_person_decides_on_what_is_not_right(verdicts: dict[str, dict[str, Any]], index: int, case: Case) -> None:
    row = verdicts[f"c{index:03}"]
    assert row["decision_needed"] == case.decision
    assert row["review_reason"] == (case.reason if case.state == "stale" else None)
    proposed = case.pm if case.decision and case.pm != case.crm else None
    assert row["new_npi"] == (proposed and f"{proposed}-c{index:03}")


def test_cases_cover_every_reason() -> None:
    assert {case.reason for case in CASES} == {
        "relationship_ended", "provider_mismatch", "not_in_network", "missing", "confirmed", "no_provider_known",
    }  # fmt: skip
