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
