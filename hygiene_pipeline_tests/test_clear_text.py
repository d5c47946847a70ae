"""Only TLS, and this machine's own addresses, keep what is sent from being read on the way."""

import pytest

from hygiene_pipeline.clear_text import is_this_machine, sends_in_clear


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("192.168.1.1", False),
        ("10.0.0.0", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_a_host_is_this_machine(host: str, is_own: bool) -> None:
    assert is_this_machine(host) is is_own


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [
        ("https://ehr.example.com/fhir", False),
        ("http://ehr.example.com/fhir", True),
        ("http://127.0.0.1:8080/fhir", False),
        ("http://[::1]:8080/fhir", False),
        ("http://localhost@ehr.example.com/fhir", True),
        ("ftp://localhost/fhir", True),
        ("https:///fhir", True),
        ("ehr.example.com", True),
        ("", True),
    ],
)
def test_an_address_sends_in_clear(url: str, in_clear: bool) -> None:
    assert sends_in_clear(url) is in_clear
