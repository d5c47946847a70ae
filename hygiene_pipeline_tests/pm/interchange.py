"""Writes X12 271 interchanges for tests, in any delimiters and as untidy as needed."""

from collections.abc import Sequence

ISA = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*CLINIC         *260301*0700*^*00501*000000001*0*P*:"
GS = "GS*HB*PAYER*CLINIC*20260301*0700*1*X*005010X279A1"
PAYER = ("HL*1**20*1", "NM1*PR*2*ACME HEALTH*****PI*12345")
PROVIDER = ("HL*2*1*21*1", "NM1*1P*2*RIVERSIDE*****XX*1234567893")
SUBSCRIBER = ("HL*3*2*22*0", "TRN*2*T-1*9CLINIC000", "NM1*IL*1*ROE*JANE****MI*M100")
BHT = "BHT*0022*11*REF-9*20260228*2330"


def transaction(*body: str, st: str = "ST*271*0001", bht: str = BHT, se: str | None = None) -> list[str]:
    """ST, BHT, payer, provider, the body, and an SE that counts them, if no other is given."""
    return enclosed(st, bht, *PAYER, *PROVIDER, *body, se=se)


def enclosed(st: str, *body: str, se: str | None = None) -> list[str]:
    """An ST, some segments, and the SE that belongs to it, if no other is given; empty texts are left out."""
    segments = [each for each in (st, *body) if each]
    trailer = f"SE*{len(segments) + 1}*{st.split('*')[-1]}" if se is None else se
    return [*segments, trailer] if trailer else segments


def subscriber(*said: str) -> list[str]:
    """A transaction in which the payer speaks about one subscriber."""
    return transaction(*SUBSCRIBER, *said)


def interchange(
    *transactions: Sequence[str],
    isa: str = ISA,
    end: str = "~",
    separator: str = "*",
    repetition: str = "^",
    ge: str | None = None,
    iea: str = "IEA*1*000000001",
) -> str:
    """The transactions in an envelope that counts them; `separator` replaces every *, `repetition` every ^."""
    inner = [segment for each in transactions for segment in each]
    count = sum(segment.startswith("ST*") for segment in inner)
    trailers = [f"GE*{count}*1" if ge is None else ge, iea]
    text = end.join([isa, GS, *inner, *(each for each in trailers if each)]) + end
    return text.replace("^", repetition).replace("*", separator)
