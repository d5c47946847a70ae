"""How fast 271 answers are read: `python benchmarks/x12_parse.py [transactions]`; 10,000 should take less than 20 s."""

import sys
import time
from zoneinfo import ZoneInfo

from hygiene_pipeline.pm.protocol import EligibilityAnswer
from hygiene_pipeline.pm.x12_271 import read_271
from hygiene_pipeline.policies.load import load_policies

ISA = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*CLINIC         *260301*0700*^*00501*000000001*0*P*:~"
GS = "GS*HB*PAYER*CLINIC*20260301*0700*1*X*005010X279A1~"
TRANSACTION = (
    "ST*271*{n:09d}~BHT*0022*11*REF{n}*20260301*0700~HL*1**20*1~NM1*PR*2*ACME HEALTH*****PI*12345~HL*2*1*21*1~"
    "NM1*1P*2*RIVERSIDE*****XX*1234567893~HL*3*2*22*0~TRN*2*T{n}*9CLINIC000~NM1*IL*1*ROE*JANE****MI*M{n}~"
    "REF*EJ*P{n}~N3*1 MAIN ST~N4*BOSTON*MA*02139~DMG*D8*19630519*F~DTP*346*D8*20260101~{said}"
    "EB*B**1^33^35^47^86^88^98^AL^MH^UC*HM*GOLD*27*10.00*****Y~EB*L~LS*2120~NM1*P3*1*DOE*MARCUS****SV*0202034~LE*2120~"
    "SE*21*{n:09d}~"
)
SAID = ("EB*1**30**GOLD~", "EB*6**30~", "AAA*N**75*C~", "AAA*N**42*R~")


def main(transactions: int) -> None:
    """Read one interchange of that many transactions and print the rate."""
    body = "".join(TRANSACTION.format(n=n, said=SAID[n % len(SAID)]) for n in range(transactions))
    text = f"{ISA}{GS}{body}GE*{transactions}*1~IEA*1*000000001~"
    start = time.perf_counter()
    read = list(read_271(text, outcomes=load_policies().x12_outcomes, timezone=ZoneInfo("America/New_York")))
    seconds = time.perf_counter() - start
    answers = sum(isinstance(each, EligibilityAnswer) for each in read)
    print(
        f"{answers:,} answers from {len(text) / 1e6:.1f} MB in {seconds:.2f} s ({transactions / seconds:,.0f} a second)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
