"""Keys come from the environment or are made once, for their owner's eyes only."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from hygiene_pipeline.failures import KeyProblemError
from hygiene_pipeline.privacy.keys import environment_name, find_key, key_for


def test_a_key_is_made_once_with_modes_that_keep_others_out(tmp_path):
    keys = tmp_path / "keys"
    first = key_for(keys, "riverside", "warehouse", {})
    assert len(bytes.fromhex(first)) == 32
    assert key_for(keys, "riverside", "warehouse", {}) == first
    path = keys / "riverside" / "warehouse.key"
    assert path.read_text() == first + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["warehouse.key"]


def test_the_environment_wins_and_then_no_file_is_written(tmp_path):
    name = environment_name("north-shore", "care_coordinator")
    assert name == "HYGIENE_KEY_NORTH_SHORE_CARE_COORDINATOR"
    assert key_for(tmp_path / "keys", "north-shore", "care_coordinator", {name: " given "}) == "given"
    assert not (tmp_path / "keys").exists()


def test_many_at_once_make_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: key_for(tmp_path, "riverside", "warehouse", {}), range(32)))
    assert len(made) == 1


def test_looking_makes_nothing(tmp_path):
    assert find_key(tmp_path / "keys", "riverside", "warehouse", {}) is None
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"], ids=["empty", "not text"])
def test_a_spoilt_key_file_is_one_clear_line_and_stays(tmp_path, content):
    path = tmp_path / "riverside" / "warehouse.key"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(KeyProblemError, match="HYGIENE_KEY_RIVERSIDE_WAREHOUSE"):
        key_for(tmp_path, "riverside", "warehouse", {})
    assert path.read_bytes() == content
