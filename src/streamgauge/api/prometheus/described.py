"""The parameters of each endpoint, for the OpenAPI document: the handlers read them by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

_SPAN: Final = {"match[]": "a selector of series, repeatable", "start": "a time", "end": "a time, inclusive"}
_QUESTION: Final = {"timeout": "a duration", "limit": "of the series; 0 for none", "lookback_delta": "a duration"}
_PARAMETERS: Final[dict[str, dict[str, str]]] = {
    "query": {"query": "PromQL", "time": "seconds since 1970, or RFC 3339; now where absent", **_QUESTION},
    "query_range": {
        "query": "PromQL",
        "start": "seconds since 1970, or RFC 3339",
        "end": "a time, inclusive",
        "step": "a duration, or seconds",
        **_QUESTION,
    },
    "series": {**_SPAN, "limit": "of the series; 0 for none"},
    "labels": {**_SPAN, "limit": "of the names; 0 for none"},
    "label_values": {**_SPAN, "limit": "of the values; 0 for none"},
    "metadata": {"metric": "one metric", "limit": "of the metrics; 0 for none"},
    "exemplars": {"query": "PromQL", "start": "a time", "end": "a time, inclusive"},
    "format": {"query": "PromQL"},
}


def operation(endpoint: str) -> type[Operation]:
    described = [
        Parameter(name=name, param_in="query", description=text, schema=Schema(type=OpenAPIType.STRING))
        for name, text in _PARAMETERS[endpoint].items()
    ]

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            # Those of the path are there already.
            self.parameters = [*(self.parameters or []), *described]

    return Described
