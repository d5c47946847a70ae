"""Practice management adapters: X12 271, FHIR eligibility answers and CSV extracts."""
