"""Received contents are files of landing once `store` returns: each once, many a file, and known after a restart."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.landing.inbox import DOCUMENTS, FRAMES, Form, Inbox
from hygiene_pipeline.landing.ledger import PLACES

NOW = datetime(2026, 3, 1, 7, tzinfo=UTC)
FORMS = {"frames": FRAMES, "documents": DOCUMENTS}


def in_inbox(folder: Path, form: Form, work: Callable[[Inbox], Awaitable[object]], **options: float) -> None:
    async def run() -> None:
        # The time of the machine, since it is compared with the times of files.
        inbox = Inbox(folder, form, now=lambda: datetime.now(UTC), **options)
        try:
            await work(inbox)
        finally:
            inbox.close()

    asyncio.run(run())


def contents(folder: Path, form: Form) -> list[bytes]:
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(each for path in paths for each in form.split(path.read_bytes()))


def documents(count: int) -> list[bytes]:
    return [b'{"resourceType": "Patient", "id": "p%d"}' % number for number in range(count)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_comes_together_shares_files_and_is_there_once(tmp_path: Path, form: Form) -> None:
    sent = documents(200)

    async def work(inbox: Inbox) -> None:
        await asyncio.gather(*(inbox.store(each) for each in [*sent, *sent]))
        await asyncio.gather(*(inbox.store(each) for each in sent))

    in_inbox(tmp_path, form, work)
    assert contents(tmp_path, form) == sorted(sent)
    assert len([path for path in tmp_path.iterdir() if path.suffix == form.suffix]) <= 3


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_knows_after_a_restart_what_it_has(tmp_path: Path, form: Form) -> None:
    for _ in range(2):
        in_inbox(tmp_path, form, lambda inbox: asyncio.gather(*(inbox.store(each) for each in documents(5))))
    assert contents(tmp_path, form) == documents(5)


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".mllp-20260301-x.hl7.part").write_bytes(b"\x0bMSH|half")
    in_inbox(tmp_path, FRAMES, lambda inbox: inbox.store(b"MSH|whole"))
    assert contents(tmp_path, FRAMES) == [b"MSH|whole"]
    assert not list(tmp_path.glob(".*.part"))


def test_a_document_with_line_breaks_is_kept_with_its_meaning(tmp_path: Path) -> None:
    in_inbox(tmp_path, DOCUMENTS, lambda inbox: inbox.store(b'\xef\xbb\xbf{\r\n "id":\n "a" }\n'))
    [path] = [path for path in tmp_path.iterdir() if path.suffix == ".json"]
    assert path.read_bytes() == b'[\n{   "id":  "a" }\n]\n'


def test_the_files_are_found_by_the_taker_and_read_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / PLACES["ehr_events"].folder
    in_inbox(folder, FRAMES, lambda inbox: inbox.store(b"MSH|x"))
    [path] = PLACES["ehr_events"].paths(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    async def work(inbox: Inbox) -> None:
        with pytest.raises(PermanentError, match="another process"):
            Inbox(tmp_path, FRAMES, now=lambda: NOW)

    in_inbox(tmp_path, FRAMES, work)


def test_what_could_not_be_stored_may_be_sent_again(tmp_path: Path) -> None:
    folder = tmp_path / "ehr_events"

    async def work(inbox: Inbox) -> None:
        aside = folder.rename(tmp_path / "unmounted")
        told = await asyncio.gather(*(inbox.store(b"MSH|%d" % each) for each in range(3)), return_exceptions=True)
        assert [type(each) for each in told] == [FileNotFoundError] * 3
        aside.rename(folder)
        await inbox.store(b"MSH|1")

    in_inbox(folder, FRAMES, work)
    assert contents(folder, FRAMES) == [b"MSH|1"]


def test_a_sender_that_waits_for_each_answer_waits_for_nothing_else(tmp_path: Path) -> None:
    async def work(inbox: Inbox) -> None:
        async with asyncio.timeout(60):
            for each in range(5):
                await inbox.store(b"MSH|%d" % each)

    in_inbox(tmp_path, FRAMES, work, gather_seconds=600)
    assert len(contents(tmp_path, FRAMES)) == 5


def test_old_files_are_not_read_again(tmp_path: Path) -> None:
    def store(numbers: Sequence[int]) -> None:
        in_inbox(tmp_path, FRAMES, lambda inbox: asyncio.gather(*(inbox.store(b"MSH|%d" % each) for each in numbers)))

    store([1])
    for path in tmp_path.glob("mllp-*"):
        os.utime(path, (0, 0))
    store([1, 2])
    assert contents(tmp_path, FRAMES) == [b"MSH|1", b"MSH|1", b"MSH|2"]
