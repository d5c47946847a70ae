"""EHR adapters: FHIR R4 and HL7 v2."""
