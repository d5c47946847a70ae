"""The practice in whose name the tests write to patients."""

from typing import Any

from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.practice import Practice


def practice_with(**parts: Any) -> Practice:
    """The practice of the bed with some parts of its file changed."""
    return Practice.model_validate(
        {
            "practice": "riverside",
            "name": "Riverside Primary Care",
            "timezone": "America/New_York",
            "phone": "+16172539999",
            "crm": {"kind": "embedded", "sync": "apply"},
            "staff": [{"id": "c1", "role": "care_coordinator"}],
            "policies": load_policies(),
            **parts,
        }
    )


RIVERSIDE = practice_with()
