"""One name, one key, in all three systems: accents fold, vowel signs stay."""

import pytest

from hygiene_pipeline_tests.landing.fhir_desk import ndjson, patient
from hygiene_pipeline_tests.sql.test_staging_ehr import Staging
from hygiene_pipeline_tests.sql.test_staging_pm_crm import added, version

KEYS = {
    "Spanish accents": ("José", "Núñez", "jose nunez"),
    "an accent as a sign of its own": ("Jose\u0301", "Nun\u0303ez", "jose nunez"),
    "Vietnamese, two marks a letter": ("Hải", "Nguyễn", "hai nguyen"),
    "Polish, a stroke is no accent": ("Łukasz", "Żak", "łukasz zak"),
    "punctuation and spaces": (" Mary-Ann ", "O'Neil  Jr.", "maryann oneil jr"),
    "Russian": ("Артём", "Ёлкин", "артем елкин"),
    "Arabic with short vowels": ("مُحَمَّد", "أحمد", "محمد احمد"),
    "Arabic without": ("محمد", "احمد", "محمد احمد"),
    "Hebrew with points": ("שָׁלוֹם", "כהן", "שלום כהן"),
    "Hindi": ("राम", "कुमार", "राम कुमार"),
    "another Hindi name of the same consonants": ("रमा", "कमर", "रमा कमर"),
    "Hindi, a letter in one sign or two": ("\u0958ासिम", "\u0915\u093cान", "\u0915\u093cासिम \u0915\u093cान"),
    "Tamil": ("ரவி", "குமார்", "ரவி குமார்"),
    "Bengali": ("দীপ", "দাস", "দীপ দাস"),
    "Thai": ("กำพล", "ทองดี", "กำพล ทองดี"),
    "Japanese, voiced and not": ("ガク", "カク", "ガク カク"),
    "Japanese, voiced by a sign of its own": ("カ\u3099ク", "カク", "ガク カク"),
    "Korean": ("민수", "김", "민수 김"),
    "Chinese": ("小明", "王", "小明 王"),
    "two scripts": ("José", "कुमार", "jose कुमार"),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The key of every case, by system."""
    staging = Staging(tmp_path_factory.mktemp("names"))
    bed = staging.bed
    bed.raw()
    names = {f"n{number}": (first, last) for number, (first, last, _) in enumerate(KEYS.values())}
    for own_id, (first, last) in names.items():
        values = {"first_name": first, "last_name": last}
        added(bed, "raw.crm_contacts", version(0, contact_id=own_id, **values))
        added(bed, "raw.pm_patients", version(0, pm_patient_id=own_id, **values))
    staging.desk.fhir(ndjson(*(patient(i, name=[{"given": [f], "family": own}]) for i, (f, own) in names.items())))
    staging.build()
    bed.build("staging.crm_contact", "staging.pm_patient")
    found = {
        "crm": bed.rows("select contact_id as id, name_key from staging.crm_contact"),
        "pm": bed.rows("select pm_patient_id as id, name_key from staging.pm_patient"),
        "ehr": bed.rows("select ehr_patient_id as id, name_key from staging.ehr_patient"),
    }
    return {source: {row["id"]: row["name_key"] for row in rows} for source, rows in found.items()}


@pytest.mark.parametrize("source", ["crm", "pm", "ehr"])
@pytest.mark.parametrize(
    ("number", "key"), [pytest.param(n, key, id=name) for n, (name, (*_, key)) in enumerate(KEYS.items())]
)
def test_a_name_has_its_key(keys, source, number, key):
    assert keys[source][f"n{number}"] == key
