"""A pause of the garbage collector ends, whatever happens in it, and starts nothing that was off."""

import gc

import pytest

from hygiene_pipeline import collector


def fail_in_a_pause() -> None:
    with collector.paused():
        assert not gc.isenabled()
        raise ImportError


@pytest.mark.parametrize("is_on", [True, False])
def test_it_is_as_before_after_a_pause(is_on: bool) -> None:
    was_on = gc.isenabled()
    (gc.enable if is_on else gc.disable)()
    try:
        with pytest.raises(ImportError):
            fail_in_a_pause()
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if was_on else gc.disable)()


def test_what_is_loaded_is_not_gone_through_again() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)
        collector.spare_what_is_loaded()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == (10_000, 10, 10)
        gc.set_threshold(50_000, 10, 10)
        collector.spare_what_is_loaded()
        assert gc.get_threshold() == (50_000, 10, 10)
    finally:
        gc.set_threshold(*before)
