"""Tebra over its SOAP service: whole lists, and every way in which it says no, says too much or says nothing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from random import Random
from zoneinfo import ZoneInfo

import pytest

from hygiene_pipeline.pm.tebra import TebraPm, open_tebra
from hygiene_pipeline.pm.tebra_answer import TebraAnswerError, TebraBusyError, TebraRefusedError
from hygiene_pipeline.pm.tebra_calls import Credentials
from hygiene_pipeline_tests.pm.kareo_wsdl import MEMBERS
from hygiene_pipeline_tests.pm.tebra_server import (
    CUSTOMER_KEY,
    PASSWORD,
    PRACTICE,
    THROTTLE_MS,
    USER,
    Reply,
    TebraServer,
    fault,
    refused,
    result,
    tebra_server,
    throttled,
)

PACE = 0.001
SECRET_NAME = "Quorvax"
LIST = "GetAllPatients"


@pytest.fixture
def server() -> Iterator[TebraServer]:
    with tebra_server() as started:
        started.patients = [patient(number) for number in range(1, 8)]
        started.providers = [
            {
                "ID": "31",
                "FullName": "Ann Li MD",
                "Type": "Normal Provider",
                "NationalProviderIdentifier": "1234567893",
            },
            {
                "ID": "41",
                "FullName": "Bo Roe",
                "Type": "Referring Provider",
                "NationalProviderIdentifier": "1245319599",
            },
        ]
        started.appointments = [
            {
                "at": "2026-03-31T23:30:00",
                "ID": "1",
                "PatientID": "1",
                "StartDate": "3/31/2026 11:30:00 PM",
                "Type": "P",
            },
            {
                "at": "2026-04-01T00:00:00",
                "ID": "2",
                "PatientID": "2",
                "StartDate": "4/1/2026 12:00:00 AM",
                "Type": "P",
            },
            {"at": "2026-04-01T08:00:00", "ID": "3", "StartDate": "4/1/2026 8:00:00 AM", "Type": "O"},
        ]
        yield started


def patient(number: int, **members: str) -> dict[str, str]:
    return {"ID": str(number), "FirstName": "Ann", "LastName": SECRET_NAME, "PracticeId": "7"} | members


@contextmanager
def opened(
    server: TebraServer, *, password: str = PASSWORD, batch_size: int = 3, timeout: float = 60, limit: int = 1_000_000
) -> Iterator[TebraPm]:
    with open_tebra(
        wsdl_url=server.url,
        credentials=Credentials(customer_key=CUSTOMER_KEY, user=USER, password=password),
        practice_name=PRACTICE,
        zone=ZoneInfo("America/New_York"),
        payer_ids={},
        batch_size=batch_size,
        timeout_seconds=timeout,
        answer_limit=limit,
        pace=PACE,
        attempts=5,
    ) as source:
        yield source


def everything(server: TebraServer, **how: object) -> list[str]:
    with opened(server, **how) as source:
        return [each.patient["pm_patient_id"] for each in source.registrations()]


def test_every_patient_comes_page_by_page(server):
    assert everything(server, batch_size=3) == ["1", "2", "3", "4", "5", "6", "7"]
    pages = [asked.get("StartKey") for method, asked in server.calls if method == "GetAllPatients"]
    assert pages == [None, "3", "6"]


@pytest.mark.parametrize("batch_size", [1, 7, 8])
def test_the_last_page_may_be_full_or_not(server, batch_size):
    assert len(everything(server, batch_size=batch_size)) == 7


def test_calls_keep_the_distance_that_tebra_asks_for():
    """Here with waits a fiftieth as long, counted from before the first: a call may come late, and never early."""
    with tebra_server() as server:
        server.patients = [patient(number) for number in range(1, 5)]
        server.providers = [{"ID": "31", "Type": "Normal Provider"}]
        with open_tebra(
            wsdl_url=server.url,
            credentials=Credentials(customer_key=CUSTOMER_KEY, user=USER, password=PASSWORD),
            practice_name=PRACTICE,
            zone=ZoneInfo("UTC"),
            payer_ids={},
            batch_size=1,
            timeout_seconds=60,
            answer_limit=10**6,
            pace=0.02,
            attempts=1,
        ) as source:
            assert len(list(source.registrations())) == 4
    came = [at for (method, _), at in zip(server.calls, server.came_at, strict=True) if method == LIST]
    before = max(at for at in server.came_at if at < came[0])
    assert len(came) == 4
    assert [number for number, at in enumerate(came) if at - before <= number * 0.02 * THROTTLE_MS[LIST] / 1000] == []


def test_appointments_come_in_windows_of_a_month_and_only_those_of_patients(server):
    with opened(server) as source:
        found = list(source.appointments(date(2026, 3, 1), date(2026, 5, 15)))
    assert [(each["appointment_id"], each["scheduled_at"]) for each in found] == [
        ("1", "2026-03-31T23:30:00-04:00"),
        ("2", "2026-04-01T00:00:00-04:00"),
    ]
    windows = [(asked["StartDate"], asked["EndDate"]) for method, asked in server.calls if method == "GetAppointments"]
    assert windows == [
        ("2026-03-01T00:00:00", "2026-03-31T23:59:59"),
        ("2026-04-01T00:00:00", "2026-05-01T23:59:59"),
        ("2026-05-02T00:00:00", "2026-05-15T23:59:59"),
    ]


def test_the_network_is_of_those_who_refer_and_one_npi_is_one_provider(server):
    server.providers += [
        {"ID": "42", "Type": "Referring Provider", "NationalProviderIdentifier": "1245319599", "Active": "false"},
        {"ID": "43", "Type": "Referring Provider", "FullName": "No Number"},
        {"ID": "44", "Type": "Referring Provider", "FullName": "None Either"},
    ]
    with opened(server) as source:
        assert [(each["npi"], each["name"], each["status"]) for each in source.referral_network()] == [
            ("1245319599", "Bo Roe", "active"),
            ("", "No Number", "active"),
            ("", "None Either", "active"),
        ]


def test_members_count_by_name_in_any_order_and_beside_any_that_are_new(server):
    """zeep would silently drop a member that does not stand where the schema has it."""
    members = {name: f"<{name}> & more" for name in MEMBERS["PatientBatchData"]} | {"PracticeId": "7", "New": "x"}
    members["PracticeName"] = PRACTICE
    shuffled = list(members)
    Random(1).shuffle(shuffled)
    server.patients = [{name: members[name] for name in shuffled}]
    with opened(server) as source:
        (found,) = source.registrations()
    assert found.patient["last_name"] == "<LastName> & more"
    assert "" not in {found.patient[name] for name in found.patient if name != "referring_provider_npi"}
    assert len(found.coverage) == 2


PASSING = {
    "a call that came too early": throttled("GetAllPatients"),
    "a fault of the server": Reply(status=500, body=fault("s:Server", "boom")),
    "a fault inside 200": Reply(body=fault("s:Server", "boom")),
    "a page of HTML with 503": Reply(status=503, body="<html>down</html>"),
    "HTTP 429": Reply(status=429),
    "an answer that breaks off": Reply(body=result("GetAllPatients", "<Patients/>"), cut_at=120),
    "500 without an envelope": Reply(status=500, body="Internal error"),
    "a silence": Reply(is_silent=True),
}


@pytest.mark.parametrize("reply", [pytest.param(reply, id=name) for name, reply in PASSING.items()])
def test_what_passes_is_tried_again_and_the_list_is_whole(server, reply):
    server.trouble["GetAllPatients"] = [reply]
    assert everything(server, timeout=1 if reply.is_silent else 60) == ["1", "2", "3", "4", "5", "6", "7"]


def test_what_does_not_pass_ends_after_five_attempts(server):
    server.trouble["GetAllPatients"] = [throttled("GetAllPatients")] * 9
    with pytest.raises(TebraBusyError, match="asked more often than allowed"):
        everything(server)
    assert len(server.trouble["GetAllPatients"]) == 4


def page(records: str, key: str) -> Reply:
    return Reply(body=result("GetAllPatients", key + f"<Patients>{records}</Patients>"))


RECORD = "<PatientBatchData><ID>1</ID></PatientBatchData>"
DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaa">]>'
FINAL = {
    "wrong credentials inside 200": (
        refused("GetAllPatients", authenticated=False),
        TebraRefusedError,
        "tebra_password",
    ),
    "a wrong key inside 200": (refused("GetAllPatients", key_valid=False), TebraRefusedError, "tebra_customer_key"),
    "a user who may not": (refused("GetAllPatients", authorized=False), TebraRefusedError, "permission"),
    "HTTP 403": (Reply(status=403), TebraRefusedError, "HTTP 403"),
    "an error inside 200": (
        Reply(
            body=result(
                "GetAllPatients", "", error=f"<IsError>true</IsError><ErrorMessage>{SECRET_NAME}</ErrorMessage>"
            )
        ),
        TebraAnswerError,
        "answered with an error",
    ),
    "a request it does not take": (Reply(status=500, body=fault("s:Client", SECRET_NAME)), TebraAnswerError, "no such"),
    "a redirect elsewhere": (
        Reply(status=307, headers={"Location": "http://elsewhere/"}),
        TebraAnswerError,
        "HTTP 307",
    ),
    "a page of HTML inside 200": (Reply(body=f"<html>{SECRET_NAME}</html>"), TebraAnswerError, "no SOAP envelope"),
    "entities": (Reply(body=DOCTYPE + result("GetAllPatients", "&a;")), TebraAnswerError, "document type"),
    "an answer beyond the limit": (Reply(body="<a>" + "x" * 1_100_000 + "</a>"), TebraAnswerError, "exceeds 1,000,000"),
    "another practice's record": (
        page("<PatientBatchData><ID>1</ID><PracticeId>8</PracticeId></PatientBatchData>", "<Key/>"),
        TebraAnswerError,
        "another practice",
    ),
    "not one patient": (page("<PatientBatchData/>", "<Key/>"), TebraAnswerError, "not one patient"),
    "a full page without a word of the next": (page(RECORD * 3, ""), TebraAnswerError, "no end that can be trusted"),
    "an empty page without a word of the next": (page("", ""), TebraAnswerError, "no end that can be trusted"),
}


@pytest.mark.parametrize(("reply", "failure", "told"), [pytest.param(*case, id=name) for name, case in FINAL.items()])
def test_what_stays_wrong_is_told_at_once_in_a_line_without_a_value(server, reply, failure, told):
    server.trouble["GetAllPatients"] = [reply]
    with pytest.raises(failure, match=told) as caught:
        everything(server)
    assert not server.trouble["GetAllPatients"]
    assert sum(method == "GetAllPatients" for method, _ in server.calls) == 1
    words = "\n".join(str(each) for each in chain(caught.value))
    assert "\n" not in str(caught.value)
    assert SECRET_NAME not in words
    assert PASSWORD not in words


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_list_that_turns_in_a_circle_ends(server):
    server.trouble["GetAllPatients"] = [page(RECORD, "<Key><nextStartKey>3</nextStartKey></Key>")] * 3
    with pytest.raises(TebraAnswerError, match="no end"):
        everything(server)


def test_real_credentials_are_asked_for_and_never_shown(server):
    with pytest.raises(TebraRefusedError, match="GetPractices: Tebra refused the credentials"):
        everything(server, password="wrong")
    assert PASSWORD not in repr(Credentials(customer_key=CUSTOMER_KEY, user=USER, password=PASSWORD))


@pytest.mark.parametrize(
    "practices",
    [
        pytest.param([], id="none"),
        pytest.param([{"ID": "8", "PracticeName": f"{PRACTICE} West"}], id="one that only begins so"),
        pytest.param([{"ID": "7", "PracticeName": PRACTICE}, {"ID": "9", "PracticeName": PRACTICE}], id="two"),
    ],
)
def test_the_practice_must_be_one(server, practices):
    server.practices = practices
    with pytest.raises(TebraAnswerError, match="practice_name"):
        everything(server)


def test_not_one_provider_is_no_network(server):
    server.providers = []
    with opened(server) as source, pytest.raises(TebraAnswerError, match="not one provider"):
        source.referral_network()


def test_a_schema_that_lost_what_is_read_stops_the_fetch(server):
    server.lacks = frozenset({"PrimaryInsurancePolicyNumber", "DOB"})
    with pytest.raises(TebraAnswerError, match="no longer gives DOB, PrimaryInsurancePolicyNumber"):
        everything(server)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        pytest.param(Reply(status=404), TebraAnswerError, id="none there"),
        pytest.param(Reply(body="<html/>"), TebraAnswerError, id="a page"),
        pytest.param(Reply(body=DOCTYPE + "<x>&a;</x>"), TebraAnswerError, id="entities"),
        pytest.param(Reply(body="<wsdl:definitions"), TebraBusyError, id="cut off"),
        pytest.param(Reply(status=503), TebraBusyError, id="down"),
        pytest.param(
            Reply(
                body='<d:definitions xmlns:d="http://schemas.xmlsoap.org/wsdl/"><d:import namespace="x"'
                ' location="http://127.0.0.2:9/other.wsdl"/></d:definitions>'
            ),
            TebraAnswerError,
            id="a document of another host",
        ),
        pytest.param(
            Reply(
                body='<d:definitions xmlns:d="http://schemas.xmlsoap.org/wsdl/"><d:import namespace="x"'
                ' location="file:///etc/passwd"/></d:definitions>'
            ),
            TebraAnswerError,
            id="a file of this machine",
        ),
    ],
)
def test_a_wsdl_that_cannot_be_used(server, reply, failure):
    server.wsdl_reply = reply
    with pytest.raises(failure, match=r"^tebra: "):
        everything(server)


def test_a_server_that_is_not_there():
    with tebra_server() as gone:
        pass
    with pytest.raises(TebraBusyError, match=r"no answer \(ConnectionError\)"):
        everything(gone)


def test_no_log_holds_what_was_sent_or_answered(server, caplog):
    caplog.set_level(logging.DEBUG)
    server.trouble["GetAllPatients"] = [throttled("GetAllPatients")]
    assert everything(server)
    assert caplog.text
    for value in (PASSWORD, "pass&amp;word", USER, CUSTOMER_KEY, SECRET_NAME):
        assert value not in caplog.text
