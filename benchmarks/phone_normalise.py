"""How fast the set-based phone normaliser is, beside the library in a loop, on the same texts in the same run.

    python benchmarks/phone_normalise.py [--texts 1000000] [--seed 1]

Prints both rates, their ratio, and whether a sample of the answers is the library's own.
"""

import argparse
import random
import time

import duckdb
import phonenumbers
import pyarrow as pa

from hygiene_pipeline.phone.normalise import normalise_one, normalise_phones

THREADS = 2
LOOP_TEXTS = 20_000
ROUNDS = 5

# How people type a number, and how many in a thousand do it so.
SHAPES = (
    (282, "({area}) {exchange}-{line}"),
    (230, "{area}-{exchange}-{line}"),
    (160, "{area}{exchange}{line}"),
    (90, "+1{area}{exchange}{line}"),
    (50, "{area}.{exchange}.{line}"),
    (10, "{neighbour}-{exchange}-{line}"),
    (60, "1-{area}-{exchange}-{line}"),
    (40, "+1 ({area}) {exchange}-{line}"),
    (30, "{area} {exchange} {line}"),
    (20, "({area}) {exchange}-{line} x{extension}"),
    (10, "Home: {area}-{exchange}-{line}"),
    (8, "{area}-{exchange}-{line} ext. {extension}"),
    (5, "{exchange}-{line}"),
    (3, "+44 20 7{exchange} {line}"),
    (1, "1 800 {exchange} CARE{extension}"),
    (1, "call {area}-{exchange}-{line} or {area}-{exchange}-0000"),
)


def typed_texts(count: int, seed: int) -> list[str]:
    """Distinct texts as a US practice's systems hold them: nearly all of them numbers that somebody can have."""
    draw = random.Random(seed)
    regions = {str(code): normalise_one(f"{code}2345678").region for code in range(200, 1000)}
    areas = [code for code, region in regions.items() if region == "US"]
    neighbours = [code for code, region in regions.items() if region not in ("US", None)]
    weights, shapes = zip(*SHAPES, strict=True)
    texts: set[str] = set()
    while len(texts) < count:
        for shape in draw.choices(shapes, weights, k=count - len(texts)):
            texts.add(
                shape.format(
                    area=draw.choice(areas),
                    neighbour=draw.choice(neighbours),
                    exchange=draw.randint(200, 999),
                    line=f"{draw.randint(0, 9999):04}",
                    extension=draw.randint(1, 999),
                )
            )
    return sorted(texts)


def library_rate(texts: list[str]) -> float:
    """Texts a second when each is parsed, validated and formatted in turn."""
    start = time.perf_counter()
    for text in texts:
        try:
            number = phonenumbers.parse(text, "US")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return len(texts) / (time.perf_counter() - start)


def normaliser_rate(con: duckdb.DuckDBPyConnection, count: int) -> float:
    """Texts a second when the whole set is normalised into a table."""
    start = time.perf_counter()
    normalise_phones(con, "select raw from typed", "normalised")
    return count / (time.perf_counter() - start)


def main() -> None:
    """Measure, compare, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--texts", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    texts = typed_texts(chosen.texts, chosen.seed)
    sample = random.Random(chosen.seed).sample(texts, min(LOOP_TEXTS, len(texts)))
    con = duckdb.connect(config={"threads": THREADS})
    con.register("typed_texts", pa.table({"raw": texts}))
    con.execute("create table typed as select raw from typed_texts")

    loop = max(library_rate(sample) for _ in range(ROUNDS))
    set_based = max(normaliser_rate(con, len(texts)) for _ in range(ROUNDS))
    answers = dict(con.execute("select raw, e164 from normalised").fetchall())
    same = sum(answers[text] == normalise_one(text).e164 for text in sample)
    print(f"library in a loop     {loop:>12,.0f} texts/s")
    print(f"set-based normaliser  {set_based:>12,.0f} texts/s on {THREADS} threads")
    print(f"ratio                 {set_based / loop:>12,.1f}")
    print(f"same answer           {same:>12,} of {len(sample):,} sampled")


if __name__ == "__main__":
    main()
