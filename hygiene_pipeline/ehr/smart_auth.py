"""SMART Backend Services: shows who we are with a signed assertion, gets access tokens, renews them before they end.

The private key never leaves the process; an assertion lives four minutes and is never used twice.
"""

import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hygiene_pipeline.ehr.smart_bulk_http import Clock, Conversation, EhrRefusedError
from hygiene_pipeline.failures import KeyProblemError

# A server may refuse more than five minutes; the rest is for clocks that differ.
ASSERTION_SECONDS = 240
_EARLY_SECONDS = 60
_DEFAULT_TOKEN_SECONDS = 300
_SHORTEST_RSA = 2048
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OAUTH_ERROR = re.compile(r"[a-z_]{1,40}")
_WELL_KNOWN = "GET [base]/.well-known/smart-configuration"
_TOKEN = "POST [token endpoint]"  # noqa: S105  (a path template for messages)
_Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class SmartConfiguration:
    """What a server says about how to get a token; `algorithms` is empty if it does not say."""

    token_endpoint: str
    algorithms: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """Our private key, and how its public half is known to the server."""

    private: _Private = field(repr=False)
    algorithm: str
    key_id: str | None


@dataclass(frozen=True, kw_only=True)
class Client:
    """Who we are to the server, and what we ask to read."""

    client_id: str
    key: SigningKey
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Token:
    """An access token and how many seconds it lives; `scopes` are those that were granted."""

    value: str = field(repr=False)
    seconds: float
    scopes: frozenset[str]


def read_signing_key(text: str, *, key_id: str | None) -> SigningKey:
    """A private key in PEM, also with its line breaks written as a backslash and n.

    Raises KeyProblemError if it is none, or not one of the two kinds that SMART knows: RSA of at least 2048 bits
    (RS384) or elliptic on the curve P-384 (ES384).
    """
    try:
        private = load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyProblemError("is no private key in PEM without a passphrase") from None
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _SHORTEST_RSA:
        return SigningKey(private=private, algorithm="RS384", key_id=key_id)
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP384R1):
        return SigningKey(private=private, algorithm="ES384", key_id=key_id)
    raise KeyProblemError("is not a key that SMART servers take; allowed: RSA of 2048 bits or more, or P-384")


def discover(conversation: Conversation, base_url: str) -> SmartConfiguration:
    """What the server publishes of itself."""
    url = f"{base_url.rstrip('/')}/.well-known/smart-configuration"
    headers = {"Accept": "application/json"}
    response = conversation.ask("GET", url, where=_WELL_KNOWN, headers=headers, is_signed=False)
    try:
        content = response.json() if response.status_code == httpx.codes.OK else None
    except ValueError:
        content = None
    endpoint = content.get("token_endpoint") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(endpoint, str):
        told = f"{_WELL_KNOWN}: status {response.status_code} without a token_endpoint"
        raise EhrRefusedError(f"{told}; check base_url, or set token_url")
    return SmartConfiguration(
        token_endpoint=endpoint,
        algorithms=_texts(content.get("token_endpoint_auth_signing_alg_values_supported")),
        capabilities=_texts(content.get("capabilities")),
    )


def scopes_for(types: Sequence[str], configuration: SmartConfiguration, *, with_group: bool) -> tuple[str, ...]:
    """The scopes that let us read `types` (all if there are none), in the spelling that the server knows."""
    is_second = "permission-v2" in configuration.capabilities and "permission-v1" not in configuration.capabilities
    verb = "rs" if is_second else "read"
    wanted = [*types, *(["Group"] if with_group else [])] if types else ["*"]
    return tuple(f"system/{name}.{verb}" for name in wanted)


def assertion(client: Client, endpoint: str, clock: Clock) -> str:
    """A signed statement of who we are, good once and for four minutes."""
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": endpoint,
        "exp": int(clock().timestamp()) + ASSERTION_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    headers = {"typ": "JWT", **({"kid": client.key.key_id} if client.key.key_id else {})}
    return jwt.encode(claims, client.key.private, algorithm=client.key.algorithm, headers=headers)


def request_token(conversation: Conversation, configuration: SmartConfiguration, client: Client) -> Token:
    """Ask for an access token; every attempt carries an assertion of its own."""
    if configuration.algorithms and client.key.algorithm not in configuration.algorithms:
        allowed = ", ".join(sorted(configuration.algorithms & {"RS384", "ES384"})) or "none that SMART knows"
        raise EhrRefusedError(f"{_TOKEN}: the server does not take {client.key.algorithm} keys; allowed: {allowed}")

    def once() -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "scope": " ".join(client.scopes),
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion(client, configuration.token_endpoint, conversation.clock),
        }
        headers = {"Accept": "application/json"}
        response = conversation.client.post(configuration.token_endpoint, data=form, headers=headers)
        conversation.look_for_trouble(response, {}, _TOKEN)
        return response

    return _token(conversation.patiently(_TOKEN, once), conversation.clock)


class TokenSource:
    """The token of the moment, for all threads; a new one is asked for a minute before the old one ends."""

    def __init__(self, request: Callable[[], Token], *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._request = request
        self._seconds = seconds
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._ends = 0.0

    def bearer(self) -> str:
        """A token that is good for the next minute, or for half its life if that is shorter."""
        with self._lock:
            if self._token is None or self._seconds() >= self._ends:
                asked = self._seconds()
                self._token = self._request()
                self._ends = asked + max(self._token.seconds - _EARLY_SECONDS, self._token.seconds / 2)
            return self._token.value

    def forget(self, token: str) -> None:
        """Drop this token, unless another thread has already renewed it."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None


def _token(response: httpx.Response, clock: Clock) -> Token:
    try:
        content = response.json()
    except ValueError:
        content = None
    found = content if isinstance(content, dict) else {}
    value = found.get("access_token")
    if response.status_code != httpx.codes.OK or not isinstance(value, str):
        error = found.get("error")
        code = error if isinstance(error, str) and _OAUTH_ERROR.fullmatch(error) else "no reason given"
        told = f"{_TOKEN}: status {response.status_code} ({code})"
        raise EhrRefusedError(f"{told}; {_way_out(code)}{_clock_difference(response, clock)}")
    # Some servers write the number as text.
    lives = str(found.get("expires_in", ""))
    seconds = float(lives if lives.isdigit() and int(lives) else _DEFAULT_TOKEN_SECONDS)
    granted = found.get("scope")
    return Token(value=value, seconds=seconds, scopes=frozenset(granted.split() if isinstance(granted, str) else ()))


def _way_out(code: str) -> str:
    if code == "invalid_scope":
        return "set scopes to what the server granted this client"
    return "check client_id, key_id and that the server has the public half of our key"


def _clock_difference(response: httpx.Response, clock: Clock) -> str:
    """A word on the clocks if they are so far apart that an assertion may look too old or too young."""
    try:
        there = parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
    except ValueError:
        return ""
    seconds = abs((there - clock()).total_seconds())
    return f"; this machine's clock is {seconds:.0f} s off the server's" if seconds > _EARLY_SECONDS else ""


def _texts(value: object) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()
