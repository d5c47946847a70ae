"""Texts by Twilio's own SDK.

Twilio has no way to say "the same text again", so a request that may have been taken (an error of theirs, no answer in
time) is looked for among the account's latest messages before it is made again. Its SDK quotes numbers in errors and
logs: both end here.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from requests import ConnectionError as BrokenConnectionError
from requests import ConnectTimeout, RequestException, Response
from requests.exceptions import SSLError
from urllib3.exceptions import NewConnectionError

from hygiene_pipeline.message.protocol import (
    Channel,
    ChannelDownError,
    ChannelRefusedError,
    Message,
    Receipt,
    Verdict,
)

_LATEST_MESSAGES = 200
_LONGEST_WAIT_SECONDS = 60.0
# Their clock and ours: a message is looked for from a little before we handed it over.
_CLOCK_SKEW = timedelta(minutes=5)
_OPTED_OUT = {21610}
# Not a number, no number that takes texts, a landline.
_BAD_NUMBER = {21211, 21214, 21217, 21401, 21407, 21421, 21612, 21614}
# Credentials, account, sender: no other message would be taken either.
_NOT_LET_IN = {20003, 20005, 20006, 20008, 21212, 21606, 21603, 21659, 21660, 21703, 21704, 63038, 30002}
_TOO_FAST = {20429, 21611, 63017}
# What a carrier tells after a message was made: no such number, or one that takes no texts.
_UNREACHABLE = {30005, 30006}
_UNSENT = {"failed", "undelivered", "canceled"}


@dataclass(frozen=True, kw_only=True)
class TwilioAccount:
    """Whose texts they are, and from which number (E.164), short code or messaging service (MG…) they come."""

    account_sid: str
    sender: str
    secret: str = field(repr=False)
    api_key_sid: str | None = None
    base_url: str = "https://api.twilio.com"
    timeout_seconds: float = 30.0
    attempts: int = 3


class _NotTakenError(Exception):
    """Twilio may take the message later. `is_certain`: it has not taken it now; `wait` in seconds if it says."""

    def __init__(self, code: str, *, is_certain: bool, wait: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.is_certain = is_certain
        self.wait = wait


class TwilioSmsChannel(Channel):
    """Hands texts to Twilio; `pause` waits so many seconds between two tries of one message."""

    name = "twilio"

    def __init__(self, account: TwilioAccount, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._account = account
        self._pause = pause
        http = import_module("twilio.http.http_client")
        # Its log lines hold the number and the text.
        silent = logging.Logger("twilio", level=logging.CRITICAL + 1)
        self._http: Any = http.TwilioHttpClient(
            timeout=account.timeout_seconds, logger=silent, request_hooks={"response": [self._note_wait]}
        )
        self._wait: float | None = None
        self._client: Any = import_module("twilio.rest").Client(
            account.api_key_sid or account.account_sid, account.secret, account.account_sid, http_client=self._http
        )
        self._client.api.base_url = account.base_url

    def send(self, message: Message) -> Receipt:
        """Hand over a text; put off, or left without an answer, ask again if it is not there yet."""
        code = ""
        for attempt in range(self._account.attempts):
            try:
                return self._create(message)
            except _NotTakenError as error:
                code, wait = error.code, error.wait
                if not error.is_certain and (settled := self._settled(message, code)):
                    return settled
            if attempt + 1 < self._account.attempts:
                self._pause(min(wait if wait is not None else 2.0**attempt, _LONGEST_WAIT_SECONDS))
        return Receipt(verdict=Verdict.BUSY, code=code)

    def look_up(self, message: Message) -> Receipt | None:
        """The message among the latest of the account: same number, same text, not older than the handing over."""
        try:
            found = self._client.messages.list(limit=_LATEST_MESSAGES, page_size=_LATEST_MESSAGES)
        except Exception as error:
            if not isinstance(error, (RequestException, self._failure())):
                raise
            return None
        for each in found:
            is_ours = each.to == message.address and each.body == message.text
            if is_ours and _is_since(each.date_created, message.at):
                return _receipt(each.sid, each.status, each.error_code, _cost(each.price, each.price_unit))
        return Receipt(verdict=Verdict.BUSY)

    def follow(self, vendor_id: str) -> Receipt | None:
        """The message by its sid: a carrier says later that a number takes no texts, and Twilio what one cost."""
        try:
            found = self._client.messages(vendor_id).fetch()
        except Exception as error:
            if not isinstance(error, (RequestException, self._failure())):
                raise
            return None
        return _receipt(found.sid, found.status, found.error_code, _cost(found.price, found.price_unit))

    def examine(self) -> str:
        """Fetch the account: free, and it says whether the credentials hold."""
        try:
            account = self._client.api.accounts(self._account.account_sid).fetch()
        except RequestException as error:
            raise ChannelDownError(f"Twilio does not answer ({type(error).__name__}); try again later") from None
        except self._failure() as error:
            status, code = _numbers(error)
            if status in (401, 403, 404):
                raise self._refused(status, code) from None
            raise ChannelDownError(f"Twilio answers {status} ({code}); try again later") from None
        if account.status != "active":
            raise ChannelRefusedError(f"the Twilio account is {account.status}; see Twilio's console")
        return "Twilio answers, the account is active"

    def close(self) -> None:
        """Let go of the connections."""
        self._http.session.close()

    def _create(self, message: Message) -> Receipt:
        is_service = self._account.sender.startswith("MG")
        source = {"messaging_service_sid" if is_service else "from_": self._account.sender}
        try:
            made = self._client.messages.create(to=message.address, body=message.text, **source)
        except RequestException as error:
            raise _NotTakenError(type(error).__name__, is_certain=_never_connected(error)) from None
        except self._failure() as error:
            return self._judge(*_numbers(error))
        except (ValueError, TypeError, KeyError):
            # Taken, but the answer was cut short.
            raise _NotTakenError("unreadable_answer", is_certain=False) from None
        return Receipt(verdict=Verdict.SENT, vendor_id=made.sid, cost_usd=_cost(made.price, made.price_unit))

    def _judge(self, status: int, code: int) -> Receipt:
        """What a refusal means for this message; raises if it is not about this message."""
        if code in _OPTED_OUT:
            return Receipt(verdict=Verdict.OPTED_OUT, code=str(code))
        if code in _BAD_NUMBER:
            return Receipt(verdict=Verdict.BAD_ADDRESS, code=str(code))
        if code in _NOT_LET_IN or status in (401, 403, 404):
            raise self._refused(status, code)
        if code in _TOO_FAST or status in (429, 503):
            raise _NotTakenError(str(code), is_certain=True, wait=self._wait)
        if status >= 500:
            raise _NotTakenError(str(code), is_certain=False)
        return Receipt(verdict=Verdict.REFUSED, code=str(code))

    def _settled(self, message: Message, code: str) -> Receipt | None:
        """After a request that may have been taken: found there, or nobody can say; None if it is certainly not."""
        found = self.look_up(message)
        if found is None:
            return Receipt(verdict=Verdict.UNCONFIRMED, code=code)
        return None if found.verdict is Verdict.BUSY else found

    def _note_wait(self, answer: Response, **_: object) -> None:
        """The seconds that an answer asks us to wait; the SDK's errors do not keep them."""
        text = answer.headers.get("Retry-After", "")
        self._wait = float(text) if text.isdecimal() else None

    def _refused(self, status: int, code: int) -> ChannelRefusedError:
        told = f"Twilio refuses us ({status}, code {code})"
        return ChannelRefusedError(f"{told}; check messages.sms, the secret twilio, and the account's console")

    @staticmethod
    def _failure() -> type[Exception]:
        """What the SDK raises: two classes with one parent."""
        failure: type[Exception] = import_module("twilio.base.exceptions").TwilioException
        return failure


def _numbers(error: Exception) -> tuple[int, int]:
    """Status and Twilio's own code; never its words, which quote the number."""
    status, code = getattr(error, "status", 0), getattr(error, "code", 0)
    return int(status or 0), int(code or 0)


def _is_since(made_at: datetime | None, at: datetime) -> bool:
    return made_at is not None and made_at >= at - _CLOCK_SKEW


def _receipt(sid: str, status: str, code: int | None, cost_usd: float | None) -> Receipt:
    """What Twilio shows of a message that it made."""
    verdict = Verdict.SENT
    if status in _UNSENT:
        verdict = Verdict.REFUSED
        if code in _UNREACHABLE:
            verdict = Verdict.BAD_ADDRESS
        elif code in _OPTED_OUT:
            verdict = Verdict.OPTED_OUT
    return Receipt(verdict=verdict, vendor_id=sid, code=str(code) if code else None, cost_usd=cost_usd)


def _never_connected(error: RequestException) -> bool:
    """Whether the request certainly never left: no connection was made."""
    if isinstance(error, (ConnectTimeout, SSLError)):
        return True
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, BrokenConnectionError) and isinstance(cause, NewConnectionError)


def _cost(price: str | None, unit: str | None) -> float | None:
    """Twilio gives what it takes from the balance, so below zero, and often only later."""
    return abs(float(price)) if price is not None and (unit or "").upper() == "USD" else None
