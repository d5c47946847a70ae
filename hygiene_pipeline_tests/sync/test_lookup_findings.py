"""What the doctor says of tonight's lookups, without buying one."""

from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.privacy.keys import key_for
from hygiene_pipeline.sync.lookup_findings import lookup_findings
from hygiene_pipeline.warehouse import open_warehouse
from hygiene_pipeline_tests.phone.vendor_server import Call, Reply, Script, serving, twilio
from hygiene_pipeline_tests.shapes import PRACTICE
from hygiene_pipeline_tests.sync.lookup_bed import AS_OF, SECRET, LookupBed

ID = PRACTICE["practice"]


def found(
    root: Path, script: Script = twilio, *, has_key: bool = True, **content: Any
) -> tuple[dict[str, Finding], list[Call]]:
    """The findings by subject, and what the vendor was asked."""
    with serving(script) as server:
        bed = LookupBed(root, server.url)
        bed.content |= content
        bed.save()
        if not has_key:
            bed.key_file.unlink()
        findings = lookup_findings(bed.practice, folders(root), at=AS_OF)
        return {each.subject: each for each in findings}, server.calls


def folders(root: Path) -> Folders:
    return Folders(practices=root, data=root / "data", keys=root / "keys")


def lay_month(root: Path, spent: float, numbers: int) -> None:
    """A warehouse whose last night left this account and plan."""
    path = folders(root).of(ID).warehouse
    with open_warehouse(path, key=key_for(root / "keys", ID, "warehouse")) as warehouse:
        con = warehouse.con
        con.execute(
            "create table metrics.phone_spend as select date '2026-03-01' as month, $1::double as spent_usd", [spent]
        )
        con.execute("insert into metrics.phone_spend values ('2026-02-01', 1000)")
        con.execute(
            "create table hygiene.phone_validation_plan as select 0.015 as estimated_cost from range($1::bigint)",
            [numbers],
        )


def test_credentials_are_tried_for_nothing_and_with_no_patients_number(tmp_path: Path) -> None:
    findings, calls = found(tmp_path)
    assert findings["phone lookups"] == Finding(
        subject="phone lookups",
        is_fine=True,
        told="twilio: the credentials are accepted; asks for line_type_intelligence, line_status",
    )
    assert [(call.number, call.query) for call in calls] == [(PRACTICE["phone"], {})]


STOPS: dict[str, tuple[dict[str, Any], bool, Reply, str, bool]] = {
    "no agreement": ({"baa": []}, True, Reply(), "no BAA with twilio", True),
    "no key": ({}, False, Reply(), "there is no key for twilio", True),
    "wrong credentials": ({}, True, Reply(status=401, body={"code": 20003}), "does not accept the credentials", True),
    "down now": ({}, True, Reply(status=503, body=""), "not available now", False),
}


@pytest.mark.parametrize(("content", "has_key", "reply", "told", "is_fatal"), STOPS.values(), ids=STOPS.keys())
def test_what_would_stop_tonights_lookups(
    tmp_path: Path, content: dict[str, Any], has_key: bool, reply: Reply, told: str, is_fatal: bool
) -> None:
    findings, _ = found(tmp_path, lambda _: reply, has_key=has_key, **content)
    finding = findings["phone lookups"]
    assert (finding.is_fine, finding.is_fatal) == (False, is_fatal)
    assert told in finding.told
    assert SECRET not in finding.told
    assert "\n" not in finding.told


def test_a_vendor_that_charges_every_call_is_not_called(tmp_path: Path) -> None:
    (tmp_path / "keys" / ID).mkdir(parents=True)
    (tmp_path / "keys" / ID / "numverify.key").write_text("k\n")
    part = {"kind": "numverify", "base_url": "http://127.0.0.1:9"}
    findings, calls = found(tmp_path, phone_lookup=part, baa=[{"vendor": "numverify", "signed_on": "2026-01-15"}])
    assert findings["phone lookups"].is_fine
    assert "not tried" in findings["phone lookups"].told
    assert calls == []


@pytest.mark.parametrize("kind", ["files", "off"])
def test_without_a_vendor_there_is_nothing_to_pay(tmp_path: Path, kind: str) -> None:
    findings, calls = found(tmp_path, phone_lookup={"kind": kind})
    assert [(each.is_fine, each.told.split(":")[0]) for each in findings.values()] == [(True, kind)]
    assert calls == []


# Spent this month, numbers in the last plan, the budget; whether tonight can ask, and in which words.
MONEY: dict[str, tuple[float, int, float | None, bool, str]] = {
    "no limit": (12.5, 100, None, True, "no limit (policies.phone.monthly_budget_usd); $12.50 spent this month"),
    "enough": (12.5, 100, 50.0, True, "$37.50 left of $50.00 this month; the last plan holds 100 numbers for $1.50"),
    "used up": (50.0, 100, 50.0, False, "raise policies.phone.monthly_budget_usd"),
    "too little for one": (49.99, 100, 50.0, False, "$0.01 left of $50.00 this month"),
    "nothing due": (0.0, 0, 50.0, True, "nothing due"),
}


@pytest.mark.parametrize(("spent", "numbers", "budget", "is_fine", "told"), MONEY.values(), ids=MONEY.keys())
def test_the_months_money_is_told(
    tmp_path: Path, spent: float, numbers: int, budget: float | None, is_fine: bool, told: str
) -> None:
    lay_month(tmp_path, spent, numbers)
    findings, _ = found(tmp_path, policies={"phone": {"monthly_budget_usd": budget}})
    finding = findings["phone lookup budget"]
    assert (finding.is_fine, finding.is_fatal and not finding.is_fine) == (is_fine, False)
    assert told in finding.told


def test_before_the_first_run_there_is_no_account(tmp_path: Path) -> None:
    findings, _ = found(tmp_path, policies={"phone": {"monthly_budget_usd": 50}})
    assert findings["phone lookup budget"].told == "$50.00 left of $50.00 this month; no plan yet, or nothing due"
