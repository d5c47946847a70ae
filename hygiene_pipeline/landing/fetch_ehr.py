"""Brings an EHR's bulk export into `landing/ehr`, as the practice file describes it.

Also what the doctor wants to know beforehand: whether the server answers, and whether it gives us a token. Nothing is
asked of anybody without an agreement in force.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from hygiene_pipeline.ehr.smart_auth import (
    Client,
    SigningKey,
    SmartConfiguration,
    Token,
    TokenSource,
    discover,
    read_signing_key,
    request_token,
    scopes_for,
)
from hygiene_pipeline.ehr.smart_bulk import BulkExport, ExportOutcome, ExportTerms
from hygiene_pipeline.ehr.smart_bulk_http import Clock, Conversation, Patience, new_client, refused
from hygiene_pipeline.ehr.smart_bulk_request import ExportRequest
from hygiene_pipeline.failures import HygieneError, KeyProblemError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.agreements import require_agreement
from hygiene_pipeline.privacy.keys import environment_name, find_key
from hygiene_pipeline.progress import tell
from hygiene_pipeline.settings.ehr import SmartBulk

PRIVATE_KEY = "smart_bulk"
_BRIEF = Patience(attempts=2, first_wait=0.5, longest_wait=5.0)


def fetch_ehr(
    practice: Practice, folders: PracticeFolders, keys: Path, *, as_of: datetime, is_first: bool, clock: Clock
) -> ExportOutcome | None:
    """Bring one export, or go on with the one under way; none for a practice whose EHR drops files.

    `is_first`: nothing of this EHR was ever taken, so all of it is asked for. `clock` tells real time, which tokens and
    waits hang on. Raises a failure of one line; then nothing of the export is in the landing folder.
    """
    settings = practice.ehr
    if not isinstance(settings, SmartBulk):
        return None
    require_agreement(practice, settings.agreement_with, at=clock())
    longest = settings.longest_wait_seconds or settings.known.longest_wait_seconds
    patience = Patience(attempts=settings.attempts, first_wait=min(1.0, longest), longest_wait=longest)
    with _conversation(practice, settings, keys, patience=patience, clock=clock) as conversation:
        export = BulkExport(
            conversation, _request(settings), _terms(practice, settings), landing=folders.landing / "ehr", tell=tell
        )
        return export.run(as_of=as_of, is_first=is_first)


def smart_bulk_findings(practice: Practice, keys: Path, *, at: datetime) -> Iterator[Finding]:
    """Whether the server of a `smart_bulk` practice answers and knows us; asks for no export, and costs nothing."""
    settings = practice.ehr
    if not isinstance(settings, SmartBulk):
        return
    try:
        require_agreement(practice, settings.agreement_with, at=at)
        with _unsigned(settings, patience=_BRIEF, clock=lambda: at) as conversation:
            if settings.client_id is None:
                yield _open_server(conversation, settings)
                return
            key = _signing_key(practice, settings, keys)
            configuration = _configuration(conversation, settings)
            yield Finding(subject="ehr server", is_fine=True, told="answers, and says where tokens are given")
            yield _token_finding(settings, _token(conversation, settings, key, configuration))
    except HygieneError as error:
        yield Finding(subject="ehr server", is_fine=False, told=str(error))


def _open_server(conversation: Conversation, settings: SmartBulk) -> Finding:
    where = "GET [base]/metadata"
    headers = {"Accept": "application/fhir+json"}
    response = conversation.ask("GET", f"{settings.base_url.rstrip('/')}/metadata", where=where, headers=headers)
    if not response.is_success:
        raise refused(response, where, "check base_url, or set client_id if the server wants a token")
    return Finding(subject="ehr server", is_fine=True, told="answers; asked without a token, since no client_id is set")


def _token_finding(settings: SmartBulk, token: Token) -> Finding:
    """A token was given; whether it lets us read what we ask for is said where the server tells."""
    granted = {scope.partition(".")[0].removeprefix("system/") for scope in token.scopes}
    missing = [name for name in settings.types if name not in granted] if granted and "*" not in granted else []
    told = (
        f"granted, but not for {', '.join(missing)}: leave them out of types, or ask for them" if missing else "granted"
    )
    return Finding(subject="ehr token", is_fine=not missing, told=told, is_fatal=False)


@contextmanager
def _conversation(
    practice: Practice, settings: SmartBulk, keys: Path, *, patience: Patience, clock: Clock
) -> Iterator[Conversation]:
    """A conversation that shows our token, if the practice has a client id."""
    with _unsigned(settings, patience=patience, clock=clock) as unsigned:
        if settings.client_id is None:
            yield unsigned
            return
        key = _signing_key(practice, settings, keys)
        configuration: list[SmartConfiguration] = []

        def request() -> Token:
            # Asked for once, and not before the first token is needed.
            if not configuration:
                configuration.append(_configuration(unsigned, settings))
            return _token(unsigned, settings, key, configuration[0])

        yield Conversation(unsigned.client, tokens=TokenSource(request), patience=patience, clock=clock)


@contextmanager
def _unsigned(settings: SmartBulk, *, patience: Patience, clock: Clock) -> Iterator[Conversation]:
    with new_client(settings.parallel) as client:
        yield Conversation(client, tokens=None, patience=patience, clock=clock)


def _configuration(conversation: Conversation, settings: SmartBulk) -> SmartConfiguration:
    if settings.token_url:
        return SmartConfiguration(token_endpoint=settings.token_url)
    return discover(conversation, settings.base_url)


def _token(
    conversation: Conversation, settings: SmartBulk, key: SigningKey, configuration: SmartConfiguration
) -> Token:
    scopes = settings.scopes or scopes_for(settings.types, configuration, with_group=settings.level == "group")
    client = Client(client_id=settings.client_id or "", key=key, scopes=tuple(scopes))
    return request_token(conversation, configuration, client)


def _signing_key(practice: Practice, settings: SmartBulk, keys: Path) -> SigningKey:
    """The private key, from the environment or its file; it is ours to bring, and never made."""
    path = keys / practice.practice / f"{PRIVATE_KEY}.key"
    variable = environment_name(practice.practice, PRIVATE_KEY)
    text = find_key(keys, practice.practice, PRIVATE_KEY)
    if text is None:
        raise KeyProblemError(f"ehr: the private key is missing; put it as PEM into {path} or set {variable}")
    try:
        key = read_signing_key(text, key_id=settings.key_id)
    except KeyProblemError as error:
        raise KeyProblemError(f"ehr: {path} or {variable} {error}") from None
    if settings.algorithm not in (None, key.algorithm):
        raise KeyProblemError(f"ehr.algorithm: the key in {path} or {variable} signs with {key.algorithm}")
    return key


def _request(settings: SmartBulk) -> ExportRequest:
    return ExportRequest(
        base_url=settings.base_url,
        level=settings.level,
        group=settings.group,
        types=tuple(settings.types),
        type_filters=tuple(settings.type_filters),
        parameters=settings.parameters,
        output_format=settings.output_format,
        is_lenient=settings.known.is_lenient if settings.lenient is None else settings.lenient,
        is_post=settings.method == "post",
    )


def _terms(practice: Practice, settings: SmartBulk) -> ExportTerms:
    limit = practice.policies.delivery.places.get("ehr")
    return ExportTerms(
        is_incremental=settings.known.is_incremental if settings.incremental is None else settings.incremental,
        full_every=timedelta(days=settings.full_every_days),
        keeps=timedelta(days=settings.known.keeps_days),
        wait_seconds=settings.wait_minutes * 60,
        parallel=settings.parallel,
        accepts_errors=settings.on_errors == "accept",
        checks_counts=settings.check_counts,
        min_share=limit.min_share if limit else 0,
    )
