"""Secrets from where the config says they are: variables of the environment, or files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from streamgauge.core.errors import ConfigError

_HIDDEN: Final = "***"
_BYTES_MAX: Final = 65_536
_TOKEN_CHARS_MIN: Final = 8


class Secret:
    """A text that shows itself only to who asks for it by name."""

    __slots__ = ("_parts", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts = [text, *_telling_parts(text)] if text else []

    def reveal(self) -> str:
        return self._text

    def hidden_in(self, message: str) -> str:
        """The message without it, and where it is a URL without what makes it secret: all but its host."""
        for part in self._parts:
            message = message.replace(part, _HIDDEN)
        return message

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return _HIDDEN

    __str__ = __repr__


def _telling_parts(text: str) -> list[str]:
    """Of a URL: path and query together, then those parts of it that are long enough to be a token."""
    _, is_url, rest = text.partition("://")
    if not is_url:
        return []
    host, *after = re.split(r"(?=[/?#])", rest, maxsplit=1)
    whole = after[0] if after else ""
    tokens = (
        [*re.split(r"[/?#&=]", whole), *re.split(r"[:@]", host)[:-1]] if "@" in host else re.split(r"[/?#&=]", whole)
    )
    found = {unquote(one) for one in (whole, *tokens)} | {whole, *tokens}
    return sorted((one for one in found if len(one) >= _TOKEN_CHARS_MIN), key=len, reverse=True)


def secret_of(what: str, *, variable: str, file: str, environment: Mapping[str, str], plain: str = "") -> Secret:
    """`what` it is of, for messages. Empty where neither is given. Raises ConfigError that names the variable or file
    where there is nothing in it."""
    if variable:
        text = environment.get(variable, "").strip()
        if not text:
            raise ConfigError(
                f"{what} needs the environment variable {variable}, which is not set",
                hint=f"start with {variable}=… in the environment, or take the receiver out of the config file",
            )
        return Secret(text)
    if file:
        return Secret(_read(what, Path(file)))
    return Secret(plain)


def _read(what: str, file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{what} needs the file {file}, which can't be read: {reason}", hint="check its path"
        ) from None
    if not text:
        raise ConfigError(f"{what} needs the file {file}, which is empty", hint="write the secret into it")
    return text
