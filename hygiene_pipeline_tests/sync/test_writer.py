"""The practice file says where changes go."""

from pathlib import Path

import pytest

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline.crm.files import FilesCrm
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.practice import load_practice
from hygiene_pipeline.sync.writer import crm_writer

PRACTICE = """
practice: tiny
name: Tiny Practice
timezone: America/New_York
phone: "+16172539999"
crm: {{kind: {kind}, sync: apply}}
staff:
  - {{id: coordinator-1, role: care_coordinator, handles: [phone, email, address, care, identity]}}
  - {{id: billing-1, role: billing, handles: [insurance, referring_provider]}}
"""


@pytest.mark.parametrize(("kind", "crm"), [("embedded", EmbeddedCrm), ("files", FilesCrm)])
def test_writer(tmp_path: Path, kind: str, crm: type) -> None:
    (tmp_path / "tiny.yaml").write_text(PRACTICE.format(kind=kind))
    with crm_writer(load_practice(tmp_path, "tiny"), PracticeFolders(root=tmp_path / "data")) as writer:
        assert isinstance(writer, crm)
