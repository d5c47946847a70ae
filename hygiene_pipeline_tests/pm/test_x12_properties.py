"""Whatever the interchange, the reader does not fail, and every transaction ends as an answer or in quarantine."""

from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.pm.outcomes import shipped_outcomes
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_271 import read_271
from hygiene_pipeline_tests.pm.interchange import SUBSCRIBER, interchange, transaction

SEGMENTS = st.sampled_from(
    [
        *SUBSCRIBER,
        "HL*4*3*23*0",
        "HL*9*9*99",
        "HL",
        "NM1*IL",
        "EB*1**30",
        "EB*6**30",
        "EB",
        "AAA*N**75*C",
        "AAA",
        "DTP*346*D8*2026",
        "DTP*307*RD8*20260101",
        "TRN",
        "REF*EJ",
        "MSG*FREE TEXT",
        "XX*^*^",
    ]
)
BODY = st.lists(SEGMENTS, max_size=8)


def read(text: str) -> list[EligibilityAnswer | Unusable]:
    return list(read_271(text, outcomes=shipped_outcomes(), timezone=ZoneInfo("America/New_York")))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.tuples(BODY, st.booleans()), min_size=1, max_size=4))
def test_every_transaction_ends_as_an_answer_or_in_quarantine(bodies):
    transactions = [transaction(*body, se="SE*1*1" if is_whole else "") for body, is_whole in bodies]
    positions = [each.position for each in read(interchange(*transactions))]
    start = 3
    for segments in transactions:
        end = start + len(segments)
        assert any(start <= position < end for position in positions)
        start = end


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(BODY, min_size=1, max_size=2), st.data())
def test_no_damage_breaks_the_reader(bodies, data):
    text = interchange(*[transaction(*body) for body in bodies])
    begin = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.text(st.sampled_from("*~^:\n ISAGTE019\x00é"), max_size=6))
    assert read(text[:begin] + put + text[begin + length :])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_is_read_or_rejected(text):
    assert bool(read(text)) == bool(text.strip())
