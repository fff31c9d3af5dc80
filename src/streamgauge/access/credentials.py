"""What a request says of who sends it: the secret of a key, or the token of a session. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

import msgspec

SESSION_COOKIE: Final = "streamgauge_session"
WRITE_KEY_PARAMETER: Final = "write_key"
"""In the query of a URL, for scripts in web pages whose last requests can't have a header (`sendBeacon`). URLs are
written to logs everywhere: for write keys only, which are public."""

_CREDENTIAL_BYTES_MAX: Final = 1_024


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """At most one of them counts, in this order."""

    secret: str = ""
    write_key: str = ""
    """From a place where only write keys are taken."""
    session: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"


def credentials_of(headers: Mapping[bytes, bytes], query: bytes = b"") -> Credentials:
    """`headers` with their names in lower case."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        return Credentials(secret=_authorized(authorization))
    if query and (write_key := _of_query(query)):
        return Credentials(write_key=write_key)
    cookie = headers.get(b"cookie")
    return Credentials(session=_of_cookie(cookie)) if cookie is not None else Credentials()


def credentials_of_body(write_key: object) -> Credentials:
    """Of what stands as `writeKey` in the body of Segment's protocol; of anything else, none."""
    return Credentials(write_key=write_key) if type(write_key) is str else Credentials()


def _authorized(value: bytes) -> str:
    """`Bearer SECRET`, or `Basic` with the secret as the user's name, as Segment's clients send a write key."""
    if len(value) > _CREDENTIAL_BYTES_MAX:
        return "?"
    scheme, _, given = value.partition(b" ")
    text = given.strip()
    if scheme.lower() == b"bearer":
        return text.decode("latin-1") or "?"
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(text, validate=True).partition(b":")[0].decode("latin-1") or "?"
        except binascii.Error:
            return "?"
    return "?"


def _of_query(query: bytes) -> str:
    for part in query[: 4 * _CREDENTIAL_BYTES_MAX].split(b"&"):
        name, _, value = part.partition(b"=")
        if name == WRITE_KEY_PARAMETER.encode():
            return unquote(value.decode("latin-1"))
    return ""


def _of_cookie(cookie: bytes) -> str:
    for part in cookie[: 8 * _CREDENTIAL_BYTES_MAX].split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == SESSION_COOKIE.encode():
            return value.decode("latin-1")
    return ""
