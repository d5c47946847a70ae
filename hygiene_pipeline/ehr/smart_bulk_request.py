"""What a Bulk Data server is asked for: which level, which types, since when; as the request that starts an export."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal
from urllib.parse import quote, urlencode

_PATHS = {"system": "/$export", "patient": "/Patient/$export", "group": "/Group/{id}/$export"}


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One kind of export. Two requests that differ in anything but the time are different exports."""

    base_url: str
    level: Literal["system", "patient", "group"]
    group: str | None = None
    types: tuple[str, ...] = ()
    type_filters: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    output_format: str | None = "application/fhir+ndjson"
    is_lenient: bool = False
    is_post: bool = False

    @property
    def fingerprint(self) -> str:
        """Tells whether an export was started by these same settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def method(self) -> str:
        """GET, which every server takes, or POST, which some want."""
        return "POST" if self.is_post else "GET"

    @property
    def where(self) -> str:
        """The request as messages name it."""
        return f"{self.method} [base]{_PATHS[self.level]}"

    def url(self, since: str | None) -> str:
        """The address to ask, with the parameters in it unless they are posted."""
        path = _PATHS[self.level].replace("{id}", quote(self.group or "", safe=""))
        query = "" if self.is_post else f"?{urlencode(self._query(since), quote_via=quote)}"
        return f"{self.base_url.rstrip('/')}{path}{query.removesuffix('?')}"

    @property
    def headers(self) -> dict[str, str]:
        """What makes the request an asynchronous one."""
        prefer = "respond-async, handling=lenient" if self.is_lenient else "respond-async"
        posted = {"Content-Type": "application/fhir+json"} if self.is_post else {}
        return {"Accept": "application/fhir+json", "Prefer": prefer, **posted}

    def content(self, since: str | None) -> bytes | None:
        """The parameters as a FHIR resource, if they are posted."""
        if not self.is_post:
            return None
        given = [{"name": name, _value_of(name): value} for name, value in self._given(since)]
        return json.dumps({"resourceType": "Parameters", "parameter": given}).encode()

    def _query(self, since: str | None) -> list[tuple[str, str]]:
        """Lists joined by commas, which every server in the field understands; commas within a filter are masked."""
        joined: dict[str, list[str]] = {}
        for name, value in self._given(since):
            text = value.replace(",", "%2C") if name == "_typeFilter" else value
            joined.setdefault(name, []).append(text)
        return [(name, ",".join(values)) for name, values in joined.items()]

    def _given(self, since: str | None) -> list[tuple[str, str]]:
        own = [("_outputFormat", self.output_format)] if self.output_format else []
        own += [("_since", since)] if since else []
        own += [("_type", name) for name in self.types]
        own += [("_typeFilter", text) for text in self.type_filters]
        return [*own, *self.parameters.items()]


def _value_of(parameter: str) -> str:
    return "valueInstant" if parameter == "_since" else "valueString"
