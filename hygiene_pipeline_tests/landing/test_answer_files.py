"""Files of answers are read alike here and in processes beside this one, and none is lost with such a process."""

import os
import signal
from pathlib import Path

import pytest

from hygiene_pipeline.landing import answer_files
from hygiene_pipeline.landing.answer_files import Answers, answers_of, read
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline_tests.pm.interchange import interchange, subscriber

OUTCOMES = load_policies({"x12_outcomes": {"benefits": {"1": {"result": "inactive"}}}}).x12_outcomes
ZONE = "America/New_York"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    contents = {
        "a.271": interchange(*[subscriber(f"REF*EJ*p-{number}", "EB*1**30") for number in range(400)]),
        "b.csv": "check_id\n",
        "c.EDI": interchange(subscriber("EB*6**30")) + "left over",
        "d.ndjson": '{"resourceType": "CoverageEligibilityResponse"}\nno json\n',
        "e.271": " \n",
        "f.pdf": "%PDF",
        "g.txt": interchange(subscriber("REF*EJ*p-9")),
        "h.271": "no interchange",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return sorted(tmp_path.iterdir())


def answers(paths: list[Path], worth: int) -> list[Answers | None]:
    with answers_of(paths, outcomes=OUTCOMES, timezone=ZONE, worth=worth) as found:
        return list(found)


def test_each_file_gives_what_it_holds_in_the_order_asked(paths: list[Path]) -> None:
    found = answers(paths, worth=1 << 40)
    counts = [(each.usable.num_rows, each.unusable.num_rows) if each else None for each in found]
    assert counts == [(400, 0), (1, 1), (0, 2), None, (0, 1), (0, 1)]
    assert set(found[0].usable["result"].to_pylist()) == {"inactive"}


def test_other_processes_read_the_same(paths: list[Path]) -> None:
    assert answers(paths, worth=1) == answers(paths, worth=1 << 40)


def test_what_a_killed_process_had_is_read_here(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    readers = []

    class Doomed(answer_files._Reader):
        def answers(self) -> Answers | None:
            readers.append(self)
            found = super().answers()
            os.kill(self._process.pid, signal.SIGKILL)
            return found

    monkeypatch.setattr(answer_files, "_Reader", Doomed)
    assert answers(paths, worth=1) == [read(path, OUTCOMES, ZONE) for path in paths if answer_files.has_answers(path)]
    assert {reader.is_alive for reader in readers} == {False}


def test_processes_that_are_not_waited_for_end(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    readers = []

    class Seen(answer_files._Reader):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)
            readers.append(self)

    monkeypatch.setattr(answer_files, "_Reader", Seen)
    with answers_of(paths, outcomes=OUTCOMES, timezone=ZONE, worth=1) as found:
        next(found)
    assert readers
    assert not any(reader.is_alive for reader in readers)
