"""We show who we are as SMART Backend Services asks for it, to a server that checks every word of the assertion."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hygiene_pipeline.ehr.smart_auth import (
    Client,
    SmartConfiguration,
    Token,
    TokenSource,
    discover,
    read_signing_key,
    request_token,
    scopes_for,
)
from hygiene_pipeline.ehr.smart_bulk_http import Clock, Conversation, EhrRefusedError
from hygiene_pipeline.failures import KeyProblemError
from hygiene_pipeline_tests.ehr.bulk_server import BulkServer, Trouble
from hygiene_pipeline_tests.ehr.mortal_exports import SWIFT, bring, client, now
from hygiene_pipeline_tests.ehr.test_smart_bulk import ENCOUNTERS, PATIENTS, is_complete, landed

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP384R1())
SCOPES = ("system/Patient.read", "system/Encounter.read")


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture(scope="module")
def running() -> Iterator[BulkServer]:
    with BulkServer() as server:
        yield server


@pytest.fixture
def server(running: BulkServer) -> BulkServer:
    running.reset()
    running.client_key = CURVE.public_key()
    running.holds("Patient", PATIENTS)
    running.holds("Encounter", ENCOUNTERS)
    return running


def ask(server: BulkServer, key: Any = CURVE, *, name: str = "hygiene", clock: Clock = now) -> Token:
    conversation = Conversation(client(), tokens=None, patience=SWIFT, clock=clock)
    ours = Client(client_id=name, key=read_signing_key(pem(key), key_id="key-1"), scopes=SCOPES)
    return request_token(conversation, discover(conversation, server.base_url), ours)


def assertions(server: BulkServer) -> list[dict[str, Any]]:
    from urllib.parse import parse_qs

    sent = [parse_qs(each.body.decode())["client_assertion"][0] for each in server.of("token")]
    return [jwt.decode(each, options={"verify_signature": False}) for each in sent]


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS384"), (CURVE, "ES384")])
def test_both_kinds_of_key_open_the_door(server: BulkServer, tmp_path: Path, key: Any, algorithm: str) -> None:
    server.client_key, server.algorithms = key.public_key(), (algorithm,)
    began = now().timestamp()
    bring(tmp_path, server.base_url, tokens=TokenSource(lambda: ask(server, key)))
    assert is_complete(tmp_path)
    signed = [each for each in server.asked if each.kind in ("kickoff", "status", "file", "delete")]
    assert {each.headers["authorization"] for each in signed} == {"Bearer token-1"}
    [claims] = assertions(server)
    assert claims["iss"] == claims["sub"] == "hygiene"
    assert claims["aud"] == f"{server.root}/token"
    assert began + 200 < claims["exp"] <= now().timestamp() + 300


def test_no_assertion_is_used_twice(server: BulkServer) -> None:
    server.trouble["token"] = [Trouble(status=503), Trouble(status=429, retry_after="0")]
    assert ask(server).value != ask(server).value
    assert len({claims["jti"] for claims in assertions(server)}) == 4


def test_files_of_another_house_are_not_shown_our_token(server: BulkServer, tmp_path: Path) -> None:
    server.requires_token = False
    bring(tmp_path, server.base_url, tokens=TokenSource(lambda: ask(server)))
    assert is_complete(tmp_path)
    assert not [each for each in server.of("file") if "authorization" in each.headers]


def test_a_token_that_ends_in_the_middle_is_renewed(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["file"] = [Trouble(drop_after=1000), Trouble(ends_tokens=True)]
    server.trouble["status"] = [Trouble(ends_tokens=True)]
    bring(tmp_path, server.base_url, tokens=TokenSource(lambda: ask(server)), parallel=1)
    assert is_complete(tmp_path)
    assert len(server.of("token")) == 3


@pytest.mark.parametrize("is_signed", [True, False])
def test_everything_that_goes_wrong_in_one_night(server: BulkServer, tmp_path: Path, *, is_signed: bool) -> None:
    server.client_key = CURVE.public_key() if is_signed else None
    server.holds("Encounter", ENCOUNTERS)
    busy, broken = Trouble(status=429, retry_after="0"), Trouble(status=500)
    ended = [Trouble(ends_tokens=True)] if is_signed else []
    server.trouble = {
        "configuration": [broken],
        "token": [busy, broken],
        "kickoff": [busy, broken, *ended],
        "status": [broken, busy, *ended],
        "file": [broken, Trouble(drop_after=5000), *ended, busy, Trouble(status=403), Trouble(drop_after=10)],
        "delete": [busy, broken, *ended],
    }
    tokens = TokenSource(lambda: ask(server)) if is_signed else None
    bring(tmp_path, server.base_url, tokens=tokens)
    assert landed(tmp_path) == PATIENTS + ENCOUNTERS + ENCOUNTERS
    assert server.exports == {}
    assert len(server.of("kickoff")) == 3 + is_signed, "two refused, one whose token had ended, and one that counts"


def test_all_threads_share_a_renewed_token(server: BulkServer, tmp_path: Path) -> None:
    for _ in range(10):
        server.holds("Encounter", ENCOUNTERS)
    server.trouble["file"] = [Trouble(ends_tokens=True)]
    bring(tmp_path, server.base_url, tokens=TokenSource(lambda: ask(server)), parallel=8)
    assert len(server.of("token")) == 2


def test_a_server_that_takes_none_of_its_own_tokens_is_not_asked_on(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["kickoff"] = [Trouble(status=401)] * 9
    with pytest.raises(EhrRefusedError, match="takes none of the tokens that it gave"):
        bring(tmp_path, server.base_url, tokens=TokenSource(lambda: ask(server)))
    assert len(server.of("kickoff")) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"key": ec.generate_private_key(ec.SECP384R1())}, r"status 400 \(invalid_client\)", id="key"),
        pytest.param({"name": "nobody"}, r"\(invalid_client\); check client_id", id="client"),
        pytest.param({"clock": lambda: now() + timedelta(hours=1)}, "clock is 36.. s off the server's", id="clock"),
        pytest.param({"key": RSA}, "does not take RS384 keys; allowed: ES384", id="kind of key"),
    ],
)
def test_a_refused_client_is_told_why(server: BulkServer, change: dict[str, Any], told: str) -> None:
    server.algorithms = ("ES384",)
    with pytest.raises(EhrRefusedError, match=told) as caught:
        ask(server, **change)
    assert "Canary" not in str(caught.value)


def test_a_server_without_smart_is_told_apart(server: BulkServer) -> None:
    server.trouble["configuration"] = [Trouble(status=404)]
    with pytest.raises(EhrRefusedError, match="status 404 without a token_endpoint; check base_url, or set token_url"):
        ask(server)


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        pytest.param(pem(RSA), "RS384", id="RSA"),
        pytest.param(pem(CURVE), "ES384", id="P-384"),
        pytest.param(pem(CURVE).strip().replace("\n", "\\n"), "ES384", id="in one line of an environment file"),
    ],
)
def test_a_key_tells_how_it_signs(text: str, algorithm: str) -> None:
    assert read_signing_key(text, key_id=None).algorithm == algorithm


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("secret", id="no key"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), id="another curve"),
        pytest.param(json.dumps({"kty": "EC"}), id="a key in JSON"),
    ],
)
def test_another_key_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(KeyProblemError) as caught:
        read_signing_key(text, key_id=None)
    assert text[:20] not in str(caught.value)


def test_nothing_shows_a_key_or_a_token() -> None:
    key = read_signing_key(pem(CURVE), key_id="key-1")
    shown = repr(Client(client_id="hygiene", key=key, scopes=SCOPES)) + repr(
        Token(value="token-1", seconds=300, scopes=frozenset())
    )
    assert "token-1" not in shown
    assert "PrivateKey" not in shown


@pytest.mark.parametrize(
    ("capabilities", "types", "with_group", "scopes"),
    [
        (["permission-v1"], ["Patient"], False, ("system/Patient.read",)),
        (["permission-v2"], ["Patient"], True, ("system/Patient.rs", "system/Group.rs")),
        (["permission-v1", "permission-v2"], [], True, ("system/*.read",)),
        ([], ["Patient", "Coverage"], True, ("system/Patient.read", "system/Coverage.read", "system/Group.read")),
    ],
)
def test_scopes_cover_what_is_asked_for(
    capabilities: list[str], types: list[str], with_group: bool, scopes: tuple[str, ...]
) -> None:
    configuration = SmartConfiguration(token_endpoint="", capabilities=frozenset(capabilities))
    assert scopes_for(types, configuration, with_group=with_group) == scopes


def test_a_token_is_kept_until_a_minute_before_its_end() -> None:
    at = [0.0]
    given = iter(range(10))
    source = TokenSource(lambda: Token(value=str(next(given)), seconds=300, scopes=frozenset()), seconds=lambda: at[0])
    seen = []
    for second in (0, 239, 240, 470, 480):
        at[0] = second
        seen.append(source.bearer())
    assert seen == ["0", "0", "1", "1", "2"]
    source.forget("1")
    assert source.bearer() == "2", "another thread has renewed it already"
    source.forget("2")
    assert source.bearer() == "3"
