"""Brings all files of an export, several at a time; what an interrupted run brought is checked, not asked for again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from hygiene_pipeline.ehr.smart_bulk_arrival import Downloaded
from hygiene_pipeline.ehr.smart_bulk_download import BrokenFileError, Counted, FileDownload, count
from hygiene_pipeline.ehr.smart_bulk_http import Conversation
from hygiene_pipeline.ehr.smart_bulk_manifest import is_own_host
from hygiene_pipeline.ehr.smart_bulk_state import ExportFile, Manifest


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of one manifest on their way into `work`."""

    conversation: Conversation
    manifest: Manifest
    work: Path
    base_url: str
    parallel: int
    checks_counts: bool
    tell: Callable[[str], None]

    def bring(self) -> list[Downloaded]:
        """Every file whole, in the manifest's order.

        Raises LinkExpiredError, BrokenFileError, or what the server's refusal or silence makes of it.
        """
        numbers = range(len(self.manifest.files))
        self.tell(f"downloading {len(numbers)} files from the EHR")
        with ThreadPoolExecutor(self.parallel) as pool:
            coming = [pool.submit(self._bring_one, number) for number in numbers]
            try:
                for done, each in enumerate(as_completed(coming), start=1):
                    each.result()
                    self.tell(f"downloaded {done} of {len(numbers)} files from the EHR")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [each.result() for each in coming]

    def _bring_one(self, number: int) -> Downloaded:
        """One file with as many resources as announced; a broken one is brought once more."""
        file = self.manifest.files[number]
        is_signed = self.manifest.requires_token
        if is_signed is None:
            is_signed = is_own_host(file.url, self.base_url)
        path = self.work / f"{number:05}.ndjson"
        download = FileDownload(self.conversation, file.url, path, is_signed=is_signed)
        try:
            counted = self._counted(download, file)
        except BrokenFileError:
            download.throw_away()
            counted = self._counted(download, file)
        return Downloaded(file=file, path=path, lines=counted.lines, is_gzip=counted.is_gzip)

    def _counted(self, download: FileDownload, file: ExportFile) -> Counted:
        counted = count(download.run())
        # Of deletions, some servers count the bundles and some what is in them.
        is_counted = self.checks_counts and file.section == "output" and file.count is not None
        if is_counted and counted.lines != file.count:
            told = f"GET [file]: {counted.lines} resources came where {file.count} were announced"
            raise BrokenFileError(f"{told}; ask whoever runs the server, or set check_counts: false")
        return counted
