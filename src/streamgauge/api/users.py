"""`DELETE /users/{id}`: a person, erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, delete
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.door import SUBJECT, visit_of
from streamgauge.core.errors import InvalidRequest
from streamgauge.erasure.service import Erasure
from streamgauge.erasure.tombstones import hash_of


def users_route(erasure: Erasure) -> BaseRouteHandler:
    @delete(
        "/users/{user_id:str}",
        status_code=200,
        operation_class=_EraseOperation,
        summary="Erase a person",
        description="From events, sessions, dead letters and profiles, with the anonymous visitors who they were; what "
        "counts the log again passes them over. Counts stay. The answer says how many rows are gone.",
        tags=["access"],
        opt={SUBJECT: False},
    )
    async def delete_user(request: Request[Any, Any, Any], user_id: str) -> Response[Any]:
        is_anonymous = _is_anonymous(request.query_params.get("anonymous"))
        # Who was erased must not stand in the audit log for years.
        visit_of(request.scope).subject = f"user={hash_of('anonymous' if is_anonymous else 'user', user_id)[:16]}"
        report = await erasure.erase(user_id, is_anonymous=is_anonymous)
        return Response({"erased": msgspec.structs.asdict(report)}, headers={"Cache-Control": "no-store"})

    return delete_user


def _is_anonymous(said: str | None) -> bool:
    if said not in (None, "true", "false"):
        raise InvalidRequest("`anonymous` is neither true nor false", hint="true: the id is an anonymous_id")
    return said == "true"


@dataclass
class _EraseOperation(Operation):
    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(name="user_id", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING)),
            Parameter(
                name="anonymous",
                param_in="query",
                required=False,
                schema=Schema(type=OpenAPIType.STRING, enum=["true", "false"]),
                description="true: the id is that of a visitor who is not known, an `anonymous_id`",
            ),
        ]
