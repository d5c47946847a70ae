"""Tebra's records as rows of our files: dates as its server spells them, its words for a status, who sees whom."""

from zoneinfo import ZoneInfo

import pytest

from hygiene_pipeline.pm.tebra_rows import TebraRows, is_referring, referring_provider

ROWS = TebraRows(
    zone=ZoneInfo("America/New_York"),
    payer_ids={"11": "60054"},
    npis={"31": "1234567893", "32": "1245319599"},
)


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        pytest.param("2026-03-01T13:02:03", "2026-03-01T13:02:03-05:00", id="ISO without offset is the practice's"),
        pytest.param("2026-03-01T13:02:03Z", "2026-03-01T13:02:03+00:00", id="an offset is kept"),
        pytest.param("3/1/2026 1:02:03 PM", "2026-03-01T13:02:03-05:00", id="American with a time"),
        pytest.param("03/01/2026 01:02 PM", "2026-03-01T13:02:00-05:00", id="American without seconds"),
        pytest.param("7/1/2026", "2026-07-01T00:00:00-04:00", id="American, a day in summer"),
        pytest.param("1/1/0001 12:00:00 AM", "", id="no date, by .NET"),
        pytest.param("0001-01-01T00:00:00", "", id="no date, by .NET in ISO"),
        pytest.param("1/1/1753 12:00:00 AM", "", id="no date, by SQL Server"),
        pytest.param("", "", id="empty"),
        pytest.param("last week", "last week", id="what is no date goes on, to be quarantined with its line"),
    ],
)
def test_a_time(spelt, read):
    assert ROWS.registration({"LastModifiedDate": spelt}).patient["last_updated"] == read


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        pytest.param("1/2/1980 12:00:00 AM", "1980-01-02", id="American with midnight"),
        pytest.param("1980-01-02", "1980-01-02", id="ISO"),
        pytest.param("1980-01-02T00:00:00Z", "1980-01-02", id="midnight in UTC is not the day before"),
        pytest.param("2/30/1980", "2/30/1980", id="no such day"),
    ],
)
def test_a_day(spelt, read):
    assert ROWS.registration({"DOB": spelt}).patient["birth_date"] == read


@pytest.mark.parametrize(
    ("members", "column", "value"),
    [
        pytest.param({"HomePhone": "h", "WorkPhone": "w"}, "phone", "h", id="the home phone before the one at work"),
        pytest.param({"HomePhone": "h", "MobilePhone": "m"}, "phone", "m", id="the mobile phone before all"),
        pytest.param({"WorkPhone": "w"}, "phone", "w", id="the phone at work rather than none"),
        pytest.param({"Gender": "Unknown"}, "sex", "unknown", id="sex"),
        pytest.param({"AddressLine1": "1 Elm", "AddressLine2": "Apt 2"}, "address_line", "1 Elm Apt 2", id="address"),
        pytest.param({"ReferringProviderId": "31"}, "referring_provider_npi", "1234567893", id="who referred"),
        pytest.param({"ReferringProviderId": "99"}, "referring_provider_npi", "", id="a referrer nobody knows"),
    ],
)
def test_a_patient(members, column, value):
    assert ROWS.registration(members).patient[column] == value


def test_policies_follow_their_patient_primary_first_and_an_empty_one_is_none():
    primary = {
        "PrimaryInsurancePolicyCompanyID": "11",
        "PrimaryInsurancePolicyCompanyName": "Aetna",
        "PrimaryInsurancePolicyNumber": "W1",
        "PrimaryInsurancePolicyEffectiveStartDate": "1/1/2026 12:00:00 AM",
        "PrimaryInsurancePolicyEffectiveEndDate": "12/31/2026 12:00:00 AM",
    }
    second = {"SecondaryInsurancePolicyCompanyID": "12", "SecondaryInsurancePolicyNumber": "M2"}
    one, two = ROWS.registration({"ID": "5", **primary, **second}).coverage
    assert (one["pm_patient_id"], one["payer_id"], one["member_id"]) == ("5", "60054", "W1")
    assert (one["effective_date"], one["termination_date"]) == ("2026-01-01", "2026-12-31")
    assert (two["payer_id"], two["member_id"], two["effective_date"]) == ("12", "M2", "")
    assert ROWS.registration({"ID": "5", "SecondaryInsurancePolicyEffectiveStartDate": "1/1/0001"}).coverage == ()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Scheduled", "booked"),
        ("ReminderSent", "booked"),
        ("Reminder Sent", "booked"),
        ("Confirmed", "booked"),
        ("Tentative", "booked"),
        ("CheckedIn", "arrived"),
        ("Checked In", "arrived"),
        ("Roomed", "arrived"),
        ("ReadyToBeSeen", "arrived"),
        ("CheckedOut", "fulfilled"),
        ("NoShow", "noshow"),
        ("No Show", "noshow"),
        ("Cancelled", "cancelled"),
        ("Rescheduled", "cancelled"),
        ("NeedsReschedule", "cancelled"),
        ("Beamed Up", "Beamed Up"),
    ],
)
def test_where_an_appointment_stands(theirs, ours):
    assert ROWS.appointment({"ConfirmationStatus": theirs})["status"] == ours


@pytest.mark.parametrize(
    ("resources", "npi"),
    [
        pytest.param({"ResourceID1": "32", "ResourceTypeID1": "1"}, "1245319599", id="a provider"),
        pytest.param({"ResourceID1": "32"}, "1245319599", id="a provider whose kind is not said"),
        pytest.param(
            {"ResourceID1": "31", "ResourceTypeID1": "2", "ResourceID2": "32", "ResourceTypeID2": "1"},
            "1245319599",
            id="a room that has the number of a provider",
        ),
        pytest.param({"ResourceID1": "40", "ResourceTypeID1": "1"}, "", id="a provider nobody knows"),
    ],
)
def test_who_sees_the_patient(resources, npi):
    assert ROWS.appointment(resources)["provider_npi"] == npi


@pytest.mark.parametrize(
    ("record", "row"),
    [
        pytest.param(
            {
                "NationalProviderIdentifier": "1",
                "FullName": "Ann Li MD",
                "SpecialtyName": "Cardiology",
                "Active": "True",
            },
            ("1", "Ann Li MD", "Cardiology", "active"),
            id="active",
        ),
        pytest.param(
            {"FirstName": "Bo", "LastName": "Roe", "Active": "false"}, ("", "Bo Roe", "", "inactive"), id="not"
        ),
    ],
)
def test_a_referring_provider(record, row):
    found = referring_provider(record)
    assert (found["npi"], found["name"], found["specialty"], found["status"]) == row


def test_only_those_who_refer_are_of_the_network():
    assert is_referring({"Type": "Referring Provider"})
    assert not is_referring({"Type": "Normal Provider"})
