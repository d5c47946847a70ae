"""A SMART Bulk Data export from its start to its arrival in the landing folder: complete, and once.

Each step is written down before the next begins. A run that is killed is continued by the next: the same export, the
files that it has, the bytes of a file that broke off. Only the answer to the very first request can be lost.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

from hygiene_pipeline.ehr.smart_bulk_arrival import Downloaded, arrive, prepare
from hygiene_pipeline.ehr.smart_bulk_download import BrokenFileError, LinkExpiredError
from hygiene_pipeline.ehr.smart_bulk_files import Files
from hygiene_pipeline.ehr.smart_bulk_http import Conversation, refused
from hygiene_pipeline.ehr.smart_bulk_manifest import renewed
from hygiene_pipeline.ehr.smart_bulk_request import ExportRequest
from hygiene_pipeline.ehr.smart_bulk_state import Export, ExportDesk, Manifest
from hygiene_pipeline.ehr.smart_bulk_status import ExportFailedError, ExportLostError, Watch
from hygiene_pipeline.failures import HygieneError, PermanentError

_FAULTS = frozenset({"fatal", "error"})


@dataclass(frozen=True, kw_only=True)
class ExportTerms:
    """How exports are asked for and brought.

    `accepts_errors`: what the server could not export is not asked for again. A full export with less than `min_share`
    of the resources of the one before is not believed.
    """

    is_incremental: bool = True
    full_every: timedelta = timedelta(days=30)
    keeps: timedelta = timedelta(days=30)
    wait_seconds: float = 3600
    parallel: int = 4
    accepts_errors: bool = False
    checks_counts: bool = True
    min_share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class ExportOutcome:
    """What a run brought. `preparing`: the server is not ready, the next run goes on; `known`: nothing to ask for."""

    ended: Literal["arrived", "preparing", "known"]
    is_full: bool = False
    files: int = 0
    resources: int = 0
    deletions: int = 0
    problems: dict[str, int] = field(default_factory=dict)


class ExportTooSmallError(PermanentError):
    """A full export brought far less than the one before; a server that lost a permission looks like this."""


class BulkExport:
    """The exports of one practice from one server, brought into `landing`."""

    def __init__(
        self,
        conversation: Conversation,
        request: ExportRequest,
        terms: ExportTerms,
        *,
        landing: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._conversation = conversation
        self._request = request
        self._terms = terms
        self._landing = landing
        self._tell = tell
        self._watch = Watch(conversation=conversation, wait_seconds=terms.wait_seconds, tell=tell)
        # Hidden and below the place, so that landing does not look there and a rename never crosses a file system.
        self._desk = ExportDesk(landing / ".export")

    def run(self, *, as_of: datetime, is_first: bool) -> ExportOutcome:
        """Bring one export, or go on with the one under way; `is_first`: nothing was ever taken, so ask for all."""
        with self._desk.locked():
            self._forget_exports()
            state = self._desk.state
            if state.export is not None and state.export.stage == "arriving":
                return self._arrive(as_of)
            if state.as_of is not None and as_of <= state.as_of:
                return ExportOutcome(ended="known")
            self._drop_what_nobody_wants(is_first=is_first)
            try:
                return self._bring(as_of, is_first=is_first)
            except ExportLostError:
                self._tell("the EHR lost the export: asking for another")
                self._drop()
                return self._bring(as_of, is_first=is_first)
            except (ExportFailedError, ExportTooSmallError, BrokenFileError):
                self._drop()
                raise

    def _bring(self, as_of: datetime, *, is_first: bool) -> ExportOutcome:
        if self._desk.state.export is None:
            self._kick_off(is_first=is_first)
        if self._desk.export.stage == "preparing":
            manifest = self._watch.manifest(self._desk.export.status_url)
            if manifest is None:
                self._tell("the EHR is not ready: the next night goes on with this export")
                return ExportOutcome(ended="preparing", is_full=self._desk.export.is_full)
            self._desk.keep_export(stage="downloading", manifest=manifest)
        self._download()
        return self._arrive(as_of)

    def _kick_off(self, *, is_first: bool) -> None:
        """Ask for an export and write down where it is made."""
        state, now = self._desk.state, self._conversation.clock()
        is_due = state.full_at is None or now - state.full_at >= self._terms.full_every
        since = None if is_first or is_due or not self._terms.is_incremental else state.since
        self._desk.clear_work()
        self._tell("asking the EHR for what changed" if since else "asking the EHR for all that it has")
        response = self._conversation.ask(
            self._request.method,
            self._request.url(since),
            where=self._request.where,
            headers=self._request.headers,
            content=self._request.content(since),
        )
        location = response.headers.get("Content-Location", "")
        if not response.is_success or not location:
            way_out = "check level, group, types and what this client may read"
            raise refused(response, self._request.where, way_out)
        url = urljoin(str(response.url), location)
        export = Export(
            status_url=url,
            name=f"{now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(url.encode()).hexdigest()[:6]}",
            started_at=now,
            is_full=since is None,
        )
        self._desk.keep(request=self._request.fingerprint, export=export)

    def _download(self) -> None:
        """Bring every file and name it for landing; links that have expired are renewed once."""
        try:
            files = self._files()
        except LinkExpiredError:
            self._renew_links()
            try:
                files = self._files()
            except LinkExpiredError as error:
                raise ExportLostError(f"{error}; the next night asks for another export") from None
        at = self._manifest().transaction_time
        prepared = prepare(files, work=self._desk.work, name=self._desk.export.name, transaction_time=at)
        self._believe(prepared.resources)
        self._desk.keep_export(
            stage="arriving",
            moves=tuple(prepared.moves),
            resources=prepared.resources,
            deletions=prepared.deletions,
            problems=dict(prepared.problems),
        )

    def _believe(self, resources: int) -> None:
        before = self._desk.state.full_resources
        if self._desk.export.is_full and before and resources < self._terms.min_share * before:
            told = f"the full export brought {resources:,} resources, the one before {before:,}"
            raise ExportTooSmallError(f"{told}; if that is right, lower policies.delivery.places.ehr.min_share")

    def _files(self) -> list[Downloaded]:
        files = Files(
            conversation=self._conversation,
            manifest=self._manifest(),
            work=self._desk.work,
            base_url=self._request.base_url,
            parallel=self._terms.parallel,
            checks_counts=self._terms.checks_counts,
            tell=self._tell,
        )
        return files.bring()

    def _renew_links(self) -> None:
        """Ask for the manifest again; if it lists other files now, nothing that we have of the old ones counts."""
        self._tell("the links have expired: asking the EHR for new ones")
        fresh = self._watch.manifest(self._desk.export.status_url)
        if fresh is None:
            raise ExportLostError("GET [status]: its links have expired; the next night asks for another export")
        same = renewed(self._manifest(), fresh)
        if same is None:
            self._desk.clear_work()
        self._desk.keep_export(manifest=same or fresh)

    def _arrive(self, as_of: datetime) -> ExportOutcome:
        """Move all files, then remember up to when we know everything, then let the server forget the export."""
        export, state = self._desk.export, self._desk.state
        arrive(export.moves, work=self._desk.work, landing=self._landing)
        is_whole = self._terms.accepts_errors or not export.problems.keys() & _FAULTS
        known: dict[str, object] = {"since": self._manifest().transaction_time} if is_whole else {}
        if is_whole and export.is_full:
            known |= {"full_at": export.started_at, "full_resources": export.resources}
        self._desk.keep(**known, as_of=as_of, export=None, to_delete=(*state.to_delete, export.status_url))
        self._desk.clear_work()
        self._forget_exports()
        return ExportOutcome(
            ended="arrived",
            is_full=export.is_full,
            files=len(export.moves),
            resources=export.resources,
            deletions=export.deletions,
            problems=export.problems,
        )

    def _drop_what_nobody_wants(self, *, is_first: bool) -> None:
        """Cancel an export that other settings asked for, that is too old, or that is a part when all is needed."""
        state, export = self._desk.state, self._desk.state.export
        is_other = state.request not in ("", self._request.fingerprint)
        if export is not None:
            is_old = self._conversation.clock() - export.started_at > self._terms.keeps
            if is_other or is_old or (is_first and not export.is_full):
                self._drop()
        if is_other:
            self._desk.keep(request=self._request.fingerprint, since=None, full_at=None, full_resources=None)

    def _drop(self) -> None:
        state = self._desk.state
        if state.export is not None:
            self._desk.keep(export=None, to_delete=(*state.to_delete, state.export.status_url))
        self._desk.clear_work()
        self._forget_exports()

    def _forget_exports(self) -> None:
        """Tell the server which exports we need no more; a server that cannot be told forgets them by itself."""
        for url in self._desk.state.to_delete:
            try:
                self._conversation.ask("DELETE", url, where="DELETE [status]")
            except HygieneError:
                self._tell("the EHR could not be told that an export is done with: the next night tells it")
                return
            self._desk.keep(to_delete=tuple(each for each in self._desk.state.to_delete if each != url))

    def _manifest(self) -> Manifest:
        manifest = self._desk.export.manifest
        if manifest is None:
            raise LookupError("the export has no manifest yet")
        return manifest
