"""A file of patients' details is its owner's alone and whole, also while it is replaced."""

from pathlib import Path

import pytest

from hygiene_pipeline.private_files import write_whole


def test_a_file_is_made_with_its_folder_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox" / "due.csv"
    write_whole(path, "phone\r\nß\n")
    assert path.read_bytes() == "phone\r\nß\n".encode()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_who_reads_while_it_is_replaced_reads_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "due.csv"
    write_whole(path, "old\n")
    with path.open() as reader:
        write_whole(path, "new\n")
        assert reader.read() == "old\n"
    assert path.read_text() == "new\n"


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "due.csv"
    write_whole(path, "old\n")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert path.read_text() == "old\n"
