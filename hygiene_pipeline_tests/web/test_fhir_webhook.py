"""The webhook over real HTTP: a real server process, a real client, and what each request is answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hygiene_pipeline.landing.inbox import DOCUMENTS
from hygiene_pipeline.web.fhir_webhook import PATH
from hygiene_pipeline_tests.ehr.test_fhir_events import PLAN, notification
from hygiene_pipeline_tests.receiver import PRACTICE, landing, running

MEDIA_TYPE = "application/fhir+json"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("webhook")


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[httpx.Client]:
    with running("webhook", root, settings="{webhook: {port: 0, max_body_kib: 64}}") as receiver:
        secret = (root / "keys" / PRACTICE / "webhook.key").read_text().strip()
        headers = {"X-Hygiene-Secret": secret, "Content-Type": MEDIA_TYPE}
        address = receiver.address.removesuffix(PATH)
        with httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_SECONDS) as client:
            yield client
        assert receiver.stop() == 0


class Landing:
    """The documents that came since the test began."""

    def __init__(self, root: Path) -> None:
        self._folder = landing(root)
        self._before = set(self._folder.glob("*"))

    def documents(self) -> list[dict[str, Any]]:
        fresh = sorted(set(self._folder.glob("fhir-*.json")) - self._before)
        return [json.loads(each) for path in fresh for each in DOCUMENTS.split(path.read_bytes())]


@pytest.fixture
def kept(client: httpx.Client, root: Path) -> Landing:
    return Landing(root)


def status_bundle(kind: str) -> dict[str, Any]:
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": "https://ehr/Subscription/9"}},
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": kind},
        ],
    }
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}


def test_a_notification_is_stored_before_it_is_answered_and_once(client: httpx.Client, kept: Landing) -> None:
    body = notification("CarePlan/c1", resources=[PLAN])
    assert [client.post(PATH, content=body).status_code for _ in range(2)] == [200, 200]
    assert kept.documents() == [json.loads(body)]


@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
def test_a_handshake_and_a_heartbeat_are_answered_and_not_kept(client: httpx.Client, kept: Landing, kind: str) -> None:
    assert client.post(PATH, json=status_bundle(kind), headers={"Content-Type": MEDIA_TYPE}).status_code == 200
    assert kept.documents() == []


def test_a_bearer_token_is_a_secret_too(client: httpx.Client) -> None:
    bearer = {"X-Hygiene-Secret": f"Bearer {client.headers['X-Hygiene-Secret']}"}
    assert client.post(PATH, json=status_bundle("heartbeat"), headers=bearer).status_code == 200


REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "a wrong secret": (401, "login", {"content": b"{}", "headers": {"X-Hygiene-Secret": "guessed"}}),
    "no secret": (401, "login", {"content": b"{}", "headers": {"X-Hygiene-Secret": ""}}),
    "a secret that is no ASCII": (401, "login", {"content": b"{}", "headers": {b"X-Hygiene-Secret": b"\xe9"}}),
    "another media type": (415, "not-supported", {"content": b"<a/>", "headers": {"Content-Type": "application/xml"}}),
    "too many bytes": (413, "too-long", {"content": b" " * 70_000}),
    "too many bytes, of no said length": (413, "too-long", {"content": iter([b" " * 40_000] * 2)}),
    "no JSON": (400, "structure", {"content": b'{"resourceType": "Patient", "secretname'}),
    "no resource": (400, "structure", {"content": b'["secretname"]'}),
    "a bad resource": (
        422,
        "invariant",
        {"content": json.dumps({"resourceType": "Patient", "id": "p1", "active": "secretname"}).encode()},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_why_and_repeats_nothing(client: httpx.Client, kept: Landing, case: str) -> None:
    status, code, request = REFUSED[case]
    answer = client.post(PATH, **request)
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    outcome = answer.json()
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", code)
    assert "secretname" not in answer.text
    assert len(kept.documents()) == (status == 422), "a bad resource is kept for the quarantine"


def test_only_a_post_is_an_event(client: httpx.Client) -> None:
    assert client.get(PATH).status_code == 405
    assert client.get("/health").status_code == 204


def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    for life in range(2):
        with running("webhook", tmp_path) as receiver:
            secret = (tmp_path / "keys" / PRACTICE / "webhook.key").read_text().strip()
            headers = {"X-Hygiene-Secret": secret, "Content-Type": MEDIA_TYPE}
            bodies = [json.dumps({**PLAN, "id": f"c{number}"}).encode() for number in range(10 + 5 * life)]
            address = receiver.address.removesuffix(PATH)
            with httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_SECONDS) as client:
                assert {client.post(PATH, content=body).status_code for body in bodies} == {200}
            receiver.kill()
    kept = [
        json.loads(each) for path in landing(tmp_path).glob("fhir-*") for each in DOCUMENTS.split(path.read_bytes())
    ]
    assert sorted(each["id"] for each in kept) == sorted(f"c{number}" for number in range(15))
