"""Whatever the interchange, the reader does not fail, and every transaction ends as an answer or in quarantine."""

import re
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_271 import read_271
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline_tests.pm.interchange import BHT, ISA, PAYER, PROVIDER, SUBSCRIBER, enclosed, interchange

SEGMENTS = st.sampled_from(
    [
        *SUBSCRIBER,
        *PAYER,
        *PROVIDER,
        "HL*4*3*23*0",
        "HL*9*9*99",
        "HL",
        "NM1*IL",
        "EB*1**30",
        "EB*6**30",
        "EB",
        "AAA*N**75*C",
        "AAA*N**42*R",
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
TRAILERS = st.sampled_from([None, None, None, "", "SE*1*1", "SE", "SE*99*XX"])
DELIMITERS = st.tuples(st.sampled_from("*|\x1d+"), st.sampled_from(["~", "~\n", "\n", "\r\n", "'", "\x1c\r\n", "~ "]))
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "ge": st.sampled_from(["", "GE", "GE*9*1", "GE*1*2", "GE*1*1~GE*1*1"]),
        "iea": st.sampled_from(["", "IEA", "IEA*2*1", "IEA*1*9"]),
        "isa": st.sampled_from(["ISA*00**00**ZZ*P*ZZ*C*260301*0700*^*00501*1*0*P*:", ISA.replace("00501", "00999")]),
    },
)
MARK = re.compile(r"M\d{4}Z")


@st.composite
def interchange_texts(draw: st.DrawFn) -> str:
    """A file of some interchanges, in any delimiters, wrapped or not; ST02 of each transaction is a mark of its own."""
    files = []
    for number in range(draw(st.integers(1, 3))):
        bodies = draw(st.lists(st.tuples(BODY, TRAILERS), min_size=1, max_size=3))
        transactions = [
            enclosed(f"ST*271*M{number}{place:03d}Z", draw(st.sampled_from([BHT, ""])), *PAYER, *body, se=se)
            for place, (body, se) in enumerate(bodies)
        ]
        separator, end = draw(DELIMITERS)
        text = interchange(*transactions, separator=separator, end=end, **draw(ENVELOPES))
        width = draw(st.sampled_from([0, 0, 80])) if end != "\n" and "\r" not in end else 0
        wrapped = "\r\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text
        files.append(wrapped)
    return draw(st.sampled_from(["", "Subject: answers\n"])) + draw(st.sampled_from(["", "\n"])).join(files)


def read(text: str) -> list[EligibilityAnswer | Unusable]:
    return list(read_271(text, outcomes=load_policies().x12_outcomes, timezone=ZoneInfo("America/New_York")))


def kept(found: list[EligibilityAnswer | Unusable]) -> set[str]:
    """The marks of the transactions that became answers, or whose text is kept."""
    texts = [each.original if isinstance(each, Unusable) else each.evidence_ref for each in found]
    return {mark for text in texts for mark in MARK.findall(re.sub(r"[\r\n]", "", text))}


@settings(max_examples=100)
@given(interchange_texts())
def test_every_transaction_ends_as_an_answer_or_in_quarantine(text):
    found = read(text)
    assert kept(found) == set(MARK.findall(re.sub(r"[\r\n]", "", text)))
    assert all(each.original.strip() for each in found if isinstance(each, Unusable))


@settings(max_examples=100)
@given(interchange_texts(), st.data())
def test_a_file_cut_anywhere_loses_nothing_that_came(text, data):
    came = text[: data.draw(st.integers(1, len(text)))]
    assert kept(read(came)) >= set(MARK.findall(re.sub(r"[\r\n]", "", came)))


@settings(max_examples=100)
@given(interchange_texts(), st.data())
def test_no_damage_breaks_the_reader(text, data):
    begin = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.text(st.sampled_from("*~^:\n ISAGTE019\x00é"), max_size=6))
    damaged = text[:begin] + put + text[begin + length :]
    assert bool(read(damaged)) == bool(damaged.strip())


@settings(max_examples=60)
@given(st.lists(BODY, min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 20))
def test_a_lost_segment_costs_its_own_transaction_and_no_other(bodies, hit, place):
    transactions = [
        enclosed(f"ST*271*M0{number:03d}Z", BHT, *PAYER, *SUBSCRIBER, *body, "EB*1**30")
        for number, body in enumerate(bodies)
    ]
    whole = read(interchange(*transactions))
    wounded = transactions[hit % len(transactions)]
    mark = wounded[0].split("*")[2]
    # Neither the ST nor the SE: without those it is another kind of damage.
    del wounded[1 + place % (len(wounded) - 2)]
    found = read(interchange(*transactions))
    assert [each.reason for each in found if isinstance(each, Unusable) and mark in each.original] == [
        "wrong_segment_count"
    ]
    answers = [[said_of(each) for each in one if isinstance(each, EligibilityAnswer)] for one in (whole, found)]
    assert answers[1] == [each for each in answers[0] if each[0] != mark]


def said_of(answer: EligibilityAnswer) -> tuple[str, str, str]:
    """Which transaction said what; the place in the file moves when a segment is lost."""
    return MARK.findall(answer.evidence_ref)[0], answer.result, answer.message


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_any_text_is_read_or_rejected(text):
    assert bool(read(text)) == bool(text.strip())
