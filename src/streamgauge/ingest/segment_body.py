"""Bodies of Segment's tracking API: which messages are in them, and whose write key sent them."""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.ingest.decode import items_by_outline, malformed_body, members_by_outline
from streamgauge.ingest.segment import Kind, Shared

_WRITE_KEY_CHARS_MAX: Final = 256


class Messages(NamedTuple):
    """`raw`: the JSON of each message, as it was sent. `write_key`: None where the request names none."""

    raw: Sequence[bytes]
    shared: Shared
    write_key: str | None


class _Body(msgspec.Struct, rename="camel"):
    """Of one message, or of a batch. Nothing else in it is looked at here."""

    batch: list[msgspec.Raw] | None = None
    context: Any = None
    sent_at: Any = None
    write_key: Any = None


_decoder: Final = msgspec.json.Decoder(_Body)


def messages_of(body: bytes, kind: Kind | None, authorization: str | None) -> Messages:
    """The messages of a plain body: one of this kind, or a batch (None). Raises InvalidRequest."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body.strip():
        raise InvalidRequest("the body is empty", code="empty_body", hint="send one message, or a batch of them")
    try:
        decoded = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"this is no message of Segment's API: {error}",
            code="malformed_body",
            hint='send a JSON object; to /v1/batch {"batch": […]}',
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        decoded = _by_outline(body, error)
    key = write_key_of(authorization, decoded.write_key)
    if kind is not None:
        return Messages([body], Shared(kind), key)
    if decoded.batch is None:
        raise InvalidRequest("there is no batch", code="malformed_body", hint='send {"batch": […]}')
    context = decoded.context if type(decoded.context) is dict else {}
    return Messages([bytes(raw) for raw in decoded.batch], Shared(None, context, decoded.sent_at), key)


def _by_outline(body: bytes, refusal: Exception) -> _Body:
    """Of a body that was refused as a whole: a NaN, or half a surrogate pair, is the fault of its own message. Raises
    InvalidRequest where the outline itself is damaged."""
    try:
        members = members_by_outline(body)
        batch = [msgspec.Raw(item) for item in items_by_outline(members["batch"])] if "batch" in members else None
    except ValueError:
        raise malformed_body(body, refusal) from refusal
    context, sent_at, write_key = (_value(members.get(name)) for name in ("context", "sentAt", "writeKey"))
    return _Body(batch, context, sent_at, write_key)


def _value(raw: bytes | None) -> Any:
    """None where there is nothing that can be read."""
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write_key_of(authorization: str | None, in_body: object) -> str | None:
    """The key of Basic authentication, where it stands as the user without a password, or else the one in the body.

    Raises InvalidRequest where it is too long to be one.
    """
    key = _basic_user(authorization) or (in_body if type(in_body) is str and in_body else None)
    if key is not None and len(key) > _WRITE_KEY_CHARS_MAX:
        raise InvalidRequest(f"the write key is over {_WRITE_KEY_CHARS_MAX} characters", hint="check the SDK's set-up")
    return key


def _basic_user(authorization: str | None) -> str | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0] or None
    except (binascii.Error, UnicodeDecodeError):
        return None
