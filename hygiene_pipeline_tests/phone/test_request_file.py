"""Numbers due for a lookup, as a file for whoever buys lookups."""

import stat
from pathlib import Path

from hygiene_pipeline.phone.request_file import FILE_NAME, write_request_file

PHONES = ["+12025550123", "+442079460958", "+12025550199"]


def test_the_file_names_each_number_once_most_urgent_first(tmp_path: Path) -> None:
    assert write_request_file(tmp_path / "outbox", [*PHONES, PHONES[0]])
    path = tmp_path / "outbox" / FILE_NAME
    assert path.read_text() == "phone\n+12025550123\n+442079460958\n+12025550199\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unchanged_request_is_not_written_again(tmp_path: Path) -> None:
    write_request_file(tmp_path, PHONES)
    before = (tmp_path / FILE_NAME).stat()
    assert not write_request_file(tmp_path, PHONES)
    after = (tmp_path / FILE_NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_changed_request_replaces_the_file_whole(tmp_path: Path) -> None:
    write_request_file(tmp_path, PHONES)
    with (tmp_path / FILE_NAME).open() as reader:
        assert write_request_file(tmp_path, PHONES[:1])
        assert reader.read().count("\n") == 4, "a reader keeps the file it opened"
    assert (tmp_path / FILE_NAME).read_text() == "phone\n+12025550123\n"
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_nothing_due_leaves_only_the_header(tmp_path: Path) -> None:
    write_request_file(tmp_path, PHONES)
    assert write_request_file(tmp_path, [])
    assert (tmp_path / FILE_NAME).read_text() == "phone\n"
