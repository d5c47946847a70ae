"""An event run's own work: find whom the arrivals touch, ask the CRM about them, renew their rows in every table.

Where that could differ from building everything, the run says why and builds everything: a first build, a new day
(states hang on calendar days), a changed practice file or model, tables of different pasts, a replay, a merge, a record
that is new or that identity would compare with others than before, a shared number whose standing changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from hygiene_pipeline import build_marks
from hygiene_pipeline.build_marks import Mark
from hygiene_pipeline.event_run import merge, touched
from hygiene_pipeline.event_run.kinds import EventRun
from hygiene_pipeline.event_run.slices import NotSlicedError, Slice, catalogs, is_touched
from hygiene_pipeline.failures import NightStoppedError
from hygiene_pipeline.landing.crm_extract import PLACE, extract_contacts, extract_touched
from hygiene_pipeline.landing.take import is_replay
from hygiene_pipeline.landing.volume import judge
from hygiene_pipeline.model_history import Types
from hygiene_pipeline.model_tests import Tested
from hygiene_pipeline.night import Night
from hygiene_pipeline.phone.texts import normalise_new_texts
from hygiene_pipeline.sql_models import Model
from hygiene_pipeline.warehouse import CATALOG

_FEW_PATIENTS = 5_000
_LARGEST_SHARE = 0.2
"""A slice of more patients than a few, and than this share of them all, would cost more than building everything."""
_ANSWERS = "staging.pm_eligibility"
_OWNERS = "staging.ehr_resource"
_NUMBERS = "staging.phone_number"
_IDENTITY = "source, source_id, mrn_key, name_key, birth_date, replaced_by"


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """What became of it: how many patients' rows were renewed, or why every table is to be built whole."""

    patients: int = 0
    built_whole_because: str = ""


def renew(night: Night, run: EventRun, models: Mapping[str, Model]) -> Renewed:
    """Renew the rows of whom the arrivals touch; the models left over are for the caller to build."""
    names = _names(run, models)
    con = night.warehouse.con
    try:
        with catalogs(con):
            return Renewed(patients=_Renewal(night, run, models, names).carry_out())
    except NotSlicedError as error:
        because = str(error)
    except duckdb.Error as error:
        # Its words may quote a value.
        because = f"{type(error).__name__} in the slice"
    build_marks.forget_marks(con, names)
    if night.practice.crm.kind != "files" and not is_replay(night.warehouse, night.clock.as_of):
        _read_crm(night)
    return Renewed(built_whole_because=because)


def _read_crm(night: Night) -> None:
    """Every contact, as a night does it; a CRM that shows far fewer than before stops the run."""
    as_of = night.clock.as_of
    taken = extract_contacts(night.warehouse, night.practice, night.folders, as_of=as_of, settle_seconds=0)
    if taken.present is None:
        return
    with night.warehouse.transaction():
        volumes = judge(night.warehouse.con, night.practice.policies.delivery, {PLACE: taken.present}, as_of=as_of)
    for volume in volumes:
        if not volume.passed:
            raise NightStoppedError(f"{volume.place}: {volume.reason}")


def _names(run: EventRun, models: Mapping[str, Model]) -> list[str]:
    """The models of a run that are sliced, and those that a sliced one reads; in the order of building."""
    ordered = run.models(models)
    needed: set[str] = set()
    for name in reversed(ordered):
        if models[name].slice_by or name in needed:
            needed.update([name, *models[name].dependencies])
    return [name for name in ordered if name in needed]


class _Renewal:
    """One slice on its way."""

    def __init__(self, night: Night, run: EventRun, models: Mapping[str, Model], names: list[str]) -> None:
        self._night = night
        self._con = night.warehouse.con
        self._run = run
        self._models = models
        self._names = names
        self._parts = Slice(self._con, models)
        self._types: dict[str, Types] = {}
        self._results: dict[str, Tested] = {}

    def carry_out(self) -> int:
        since = self._since()
        touched.lay_tables(self._con)
        for raw, mark in since.items():
            touched.add_named(self._con, raw, since=mark.take_seq, since_as_of=mark.as_of)
        self._add_owners()
        if _ANSWERS in self._names:
            self._add_answered()
        patients = touched.close(self._con)
        self._check_touched(patients, since)
        self._ask_crm()
        self._number_texts(since)
        for name in self._names:
            self._build(self._models[name])
        merge.merge(self._night.warehouse, self._parts, self._names, self._types, self._results)
        return patients

    def _since(self) -> dict[str, Mark]:
        """For each raw table of the run, the oldest mark of those that read it; refuses tables of different pasts."""
        clock = self._night.clock
        read = {
            name: [each for each in self._models[name].dependencies if each in self._models] for name in self._names
        }
        marks = build_marks.marks_of(self._con, {*self._names, *(each for reads in read.values() for each in reads)})
        since: dict[str, Mark] = {}
        for name in self._names:
            mark = marks.get(name)
            if mark is None or mark.code_version != self._models[name].code_version:
                raise NotSlicedError("a model or the practice file is new, or the last run did not end well")
            if mark.as_of > clock.as_of:
                raise NotSlicedError("a past time is replayed")
            if mark.as_of.astimezone(self._night.practice.zone).date() != clock.as_of_date:
                raise NotSlicedError("a new day has begun")
            for each in read[name]:
                if each not in marks or (marks[each].as_of, marks[each].take_seq) > (mark.as_of, mark.take_seq):
                    raise NotSlicedError(f"{name} is older than what it reads")
            for raw in set(self._models[name].dependencies) & set(self._run.fed):
                since[raw] = min(since.get(raw, mark), mark, key=lambda each: (each.take_seq, each.as_of))
        return since

    def _add_owners(self) -> None:
        """Whose the resources are that arrived: as they were said to be, and as they are said to be now."""
        if not self._con.execute("select 1 from touched.resource limit 1").fetchone():
            return
        self._parts.build(self._models[_OWNERS])
        unknown = f"select 1 from slice.{_OWNERS} where ehr_patient_id is null limit 1"
        if self._con.execute(unknown).fetchone():
            raise NotSlicedError("a resource names its patient by a number, which any patient may have")
        touched.add_records(
            self._con,
            f"""select 'ehr', ehr_patient_id from slice.{_OWNERS}
                union
                select 'ehr', ehr_patient_id from {_OWNERS}
                where (resource_type, resource_id) in (select (resource_type, resource_id) from touched.resource)""",
        )
        self._parts.forget()

    def _add_answered(self) -> None:
        """Whom payers' answers are about, which may hang on who else has the member's number."""
        self._types[_ANSWERS] = self._parts.build_whole(self._models[_ANSWERS])
        touched.add_records(
            self._con,
            f"""select 'pm', pm_patient_id from (from whole.{_ANSWERS} except all from {_ANSWERS})
                union
                select 'pm', pm_patient_id from (from {_ANSWERS} except all from whole.{_ANSWERS})""",
        )

    def _check_touched(self, patients: int, since: Mapping[str, Mark]) -> None:
        if patients > _FEW_PATIENTS:
            everybody = self._night.warehouse.value("select count(distinct patient_id) from identity.patient_link")
            if patients > _LARGEST_SHARE * int(str(everybody)):
                raise NotSlicedError("too many patients are touched")
        if self._is_any(
            """select 1 from touched.record as it anti join identity.record as record
               on record.source = it.source and record.source_id = it.source_id"""
        ):
            raise NotSlicedError("a record is new")
        # A survivor may name records that the arrivals do not.
        linked = "select 1 from raw.fhir_patient where take_seq > {} and len(link) > 0"
        if "raw.fhir_patient" in since and self._is_any(linked.format(since["raw.fhir_patient"].take_seq)):
            raise NotSlicedError("records were merged")

    def _is_any(self, query: str) -> bool:
        return self._con.execute(f"{query} limit 1").fetchone() is not None

    def _ask_crm(self) -> None:
        night = self._night
        ids = [str(row[0]) for row in night.warehouse.rows("from touched.contact order by contact_id")]
        if not is_replay(night.warehouse, night.clock.as_of):
            extract_touched(night.warehouse, night.practice, night.folders, ids, as_of=night.clock.as_of)

    def _number_texts(self, since: Mapping[str, Mark]) -> None:
        normalise_new_texts(
            self._con,
            "whole.staging.new_phone_number",
            since=min(mark.take_seq for mark in since.values()),
            default_region=self._night.practice.policies.phone.default_region,
        )
        self._parts.show_as(_NUMBERS, f"from {CATALOG}.{_NUMBERS} union all from whole.staging.new_phone_number")

    def _build(self, model: Model) -> None:
        name = model.name
        if model.slice_by in _OF_NUMBERS:
            self._add_numbers()
            self._types[name] = self._parts.build_of_numbers(model)
            self._check_confined(f"from slice.{name}", f"from {name} where {is_touched(model)}", name)
        elif model.slice_by and name != _ANSWERS:
            self._types[name] = self._parts.build(model)
            if name == "identity.record":
                self._check_identity()
            if name == "identity.patient_link":
                self._add_patients()
            merge.check_apart(self._con, model)
        elif name != _ANSWERS:
            self._types[name] = self._parts.build_whole(model)
            self._check_confined(f"from whole.{name}", f"from {name}", name)
        if model.materialized != "view":
            self._results[name] = merge.tested(self._parts, model, self._types[name])

    def _add_numbers(self) -> None:
        if not self._is_any("from touched.phone") and not self._is_any("from touched.digits"):
            for table in _WITH_NUMBERS:
                self._parts.lay(table)
            touched.add_numbers(self._con)

    def _add_patients(self) -> None:
        """A record of the touched may have become another patient's."""
        self._con.execute(
            "insert into touched.patient select distinct patient_id from slice.identity.patient_link"
            " where patient_id not in (from touched.patient)"
        )

    def _check_identity(self) -> None:
        """Who is compared with whom must be as it was: then nobody outside the slice can become the same patient."""
        then = f"select {_IDENTITY} from identity.record where {is_touched(self._models['identity.record'])}"
        now = f"select {_IDENTITY} from slice.identity.record"
        if self._is_any(f"select 1 from (({then} except {now}) union all ({now} except {then}))"):
            raise NotSlicedError("a record is to be compared with others than before")

    def _check_confined(self, new: str, old: str, name: str) -> None:
        """What a model of everybody has anew must concern the touched alone."""
        beyond = _BEYOND.get(name, "from (({new} except {old}) union all ({old} except {new}))")
        if self._is_any(beyond.format(new=new, old=old)):
            raise NotSlicedError(f"{name} changed for others too")


_OF_NUMBERS = {("phone",), ("digits",)}
_WITH_NUMBERS = ("staging.crm_contact", "staging.pm_patient", "staging.ehr_patient", "staging.reply")
# What of a change in a model of everybody concerns somebody who is not touched.
_BEYOND = {
    "staging.ehr_taken_back": """
        select 1 from (({new} except {old}) union all ({old} except {new})) as it
        inner join raw.ehr_event as event on event.event_id = it.event_id
        where event.mrn not in (from touched.mrn) and event.mrn in (select mrn from staging.ehr_mrn)""",
    # How many share a number matters to each of them only once it is too many.
    "reconciled.phone_number": """
        with fresh as (select * exclude (active_contacts) from ({new})),
        known as (select * exclude (active_contacts) from ({old})),
        changed as (select phone from ((from fresh except from known) union all (from known except from fresh)))
        select 1 from staging.crm_contact
        where phone in (from changed) and contact_id not in (from touched.contact)
        union all
        select 1 from staging.pm_patient where phone in (from changed) and pm_patient_id not in (from touched.pm)
        union all
        select 1 from staging.ehr_patient where phone in (from changed) and ehr_patient_id not in (from touched.ehr)
        union all
        select 1 from staging.reply where "value" in (from changed) and contact_id not in (from touched.contact)""",
    # Whether digits are a placeholder is theirs alone; that they are listed hangs on somebody having them.
    "reconciled.placeholder_phone": "select 1 where false",
}
