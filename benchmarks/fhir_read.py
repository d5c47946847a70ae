"""How fast `load_fhir` takes bulk exports, beside DuckDB's bare typed reader into the same columns.

    .venv/bin/python benchmarks/fhir_read.py --megabytes 1000

Writes a Patient and an Encounter export (half each, fictional) into a temporary folder and prints, for each and for
both together, seconds by the clock and of processor time, their ratios, and what a night costs on which nothing
changed: in a warehouse as a practice has it, and in memory, where nothing is compressed, encrypted or written by
either. At the end the peak memory of the process. While others use the machine, only the processor time says much.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from hygiene_pipeline.ehr.fhir_judge import judge
from hygiene_pipeline.landing import ledger
from hygiene_pipeline.landing.fhir_ndjson import create_tables, load_fhir
from hygiene_pipeline.landing.fhir_schemas import duckdb_type, elements
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.warehouse import open_warehouse

AS_OF = datetime(2026, 3, 1, 7, tzinfo=UTC)


def patients(seed: random.Random) -> Iterator[dict[str, Any]]:
    """Patients with the elements and the ballast of a US Core export."""
    number = 0
    while True:
        number += 1
        race = {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}}
        yield {
            "resourceType": "Patient",
            "id": f"patient-{number}",
            "meta": {"versionId": "1", "lastUpdated": f"2026-02-{seed.randint(1, 28):02}T10:00:00.000-05:00"},
            "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>" + "x" * 400 + "</div>"},
            "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [race]}],
            "identifier": [
                {"system": "urn:ehr", "value": f"{number}"},
                {"type": {"coding": [{"code": "MR"}]}, "system": "urn:hospital", "value": f"MRN{number}"},
            ],
            "active": True,
            "name": [{"use": "official", "family": f"Example{number}", "given": ["Jordan", "A"]}],
            "telecom": [{"system": "phone", "value": f"617-253-{number % 10000:04}", "use": "mobile", "rank": 1}],
            "gender": seed.choice(["male", "female"]),
            "birthDate": f"19{seed.randint(30, 99)}-{seed.randint(1, 12):02}-{seed.randint(1, 28):02}",
            "address": [{"line": [f"{number} Elm Street"], "city": "Boston", "state": "MA", "postalCode": "02115"}],
            "maritalStatus": {"coding": [{"code": "M", "display": "Married"}], "text": "Married"},
        }


def encounters(seed: random.Random) -> Iterator[dict[str, Any]]:
    """Visits with a type, a performer, a reason and a place."""
    number = 0
    while True:
        number += 1
        day = f"2025-{seed.randint(1, 12):02}-{seed.randint(1, 28):02}"
        period = {"start": f"{day}T09:00:00-05:00", "end": f"{day}T09:30:00-05:00"}
        concept = {"coding": [{"system": "http://snomed.info/sct", "code": "185347001", "display": "For a problem"}]}
        yield {
            "resourceType": "Encounter",
            "id": f"encounter-{number}",
            "meta": {"versionId": "1", "lastUpdated": f"{day}T15:00:00.000Z"},
            "identifier": [{"use": "official", "system": "urn:ehr", "value": f"{number}"}],
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [{**concept, "text": "Encounter for problem (procedure)"}],
            "subject": {"reference": f"Patient/patient-{seed.randint(1, 100000)}", "display": "Jordan Example"},
            "participant": [{"type": [concept], "period": period, "individual": {"reference": "Practitioner/d1"}}],
            "period": period,
            "reasonCode": [concept],
            "location": [{"location": {"reference": "Location/l1", "display": "Example Clinic"}}],
            "serviceProvider": {"reference": "Organization/o1", "display": "Example Clinic"},
        }


def write(path: Path, resources: Iterator[dict[str, Any]], size: int) -> int:
    """Write at least `size` bytes; how many lines that took."""
    lines = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            written += file.write(json.dumps(next(resources), separators=(",", ":")) + "\n")
            lines += 1
    return lines


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds by the clock, and of processor time in all threads."""

    wall: float
    cpu: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(wall=self.wall + other.wall, cpu=self.cpu + other.cpu)


Costs = dict[str, Cost]
"""Of the bare read, the load, and the load of the same once more."""


def cost_of(work: Callable[[], object]) -> Cost:
    """What it costs to do this once."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def ready(con: duckdb.DuckDBPyConnection, threads: int) -> duckdb.DuckDBPyConnection:
    """The same with the tables that a load writes to."""
    con.execute(f"set threads = {threads}")
    con.execute("set timezone = 'UTC'")
    for schema in ("raw", "quarantine"):
        con.execute(f"create schema if not exists {schema}")
    ledger.create_tables(con)
    create_tables(con)
    return con


def measure(con: duckdb.DuckDBPyConnection, name: str, path: Path, lines: int) -> Costs:
    """What one resource type costs."""
    types = ", ".join(f"\"{element.name}\": '{duckdb_type(element.shape)}'" for element in elements(name))
    columns = f"format = 'newline_delimited', columns = {{{types}}}"
    file = LandingFile(file_id="0" * 16, place="ehr", name=path.name, path=path, take_seq=1)
    loads: list[Loaded] = []
    bare = cost_of(lambda: con.execute(f"create table main.bare as select * from read_json(?, {columns})", [str(path)]))
    con.execute("drop table main.bare")
    first = cost_of(lambda: loads.append(load_fhir(con, [file], extracted_at=AS_OF)))
    unchanged = cost_of(lambda: loads.append(load_fhir(con, [file], extracted_at=AS_OF)))
    assert loads == [Loaded(rows=lines, quarantined=0), Loaded(rows=0, quarantined=0)]
    return {"bare": bare, "load": first, "unchanged": unchanged}


def show(costs: Costs) -> None:
    """Print seconds, and how fast each was beside the bare read."""
    bare = costs["bare"]
    for label, cost in costs.items():
        print(
            f"  {label:10} {cost.wall:6.2f} s   ratio {bare.wall / cost.wall:.2f}"
            f"   processor {cost.cpu:6.2f} s   ratio {bare.cpu / cost.cpu:.2f}"
        )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    # The judge's models are imported on first use, once a process.
    for name in ("Patient", "Encounter"):
        judge({"resourceType": name})
    seed = random.Random(1)
    together: dict[str, Costs] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, resources in (("Patient", patients(seed)), ("Encounter", encounters(seed))):
            path = Path(folder) / f"{name}.ndjson"
            lines = write(path, resources, options.megabytes * 500_000)
            found = {}
            with open_warehouse(Path(folder) / f"{name}.duckdb", key="ab" * 32) as warehouse:
                found["warehouse"] = measure(ready(warehouse.con, options.threads), name, path, lines)
            with duckdb.connect(":memory:") as con:
                found["memory"] = measure(ready(con, options.threads), name, path, lines)
            for place, costs in found.items():
                print(f"{name}, {place}, {path.stat().st_size / 1e6:.0f} MB, {lines:,} lines")
                show(costs)
                before = together.get(place)
                together[place] = {label: costs[label] + before[label] for label in costs} if before else costs
    for place, costs in together.items():
        print(f"both, {place}, {options.megabytes} MB")
        show(costs)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
