"""Sending to a receiver over HTTP: what an answer means, and nothing of the secret in what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

from streamgauge import __version__
from streamgauge.alert.notify.base import Refused, TryAgain
from streamgauge.alert.notify.secrets import Secret
from streamgauge.core.clock import Clock

_ANSWER_BYTES_MAX: Final = 2_048
_SHOWN_CHARS_MAX: Final = 200
_AGAIN: Final = frozenset({408, 425, 429})
"""And every 5xx."""


class HttpSender:
    """Redirects are not followed: they would take a message, and its key, elsewhere."""

    def __init__(self, url: Secret, clock: Clock, *, s_max: float, token: Secret, hide: Sequence[Secret] = ()) -> None:
        """`token`: a bearer token, empty where there is none. `hide`: what else must not be shown."""
        self._url, self._clock, self._s_max, self._token = url, clock, s_max, token
        self._hide = (url, token, *hide)
        self._client = httpx.AsyncClient(
            timeout=s_max,
            headers={"User-Agent": f"streamgauge/{__version__}", "Content-Type": "application/json"},
            # A proxy of the environment can't reach this machine's own addresses.
            mounts={"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None},
        )

    async def post(self, body: Any) -> str:
        """The body as JSON; status and beginning of the answer. Raises TryAgain, Refused."""
        try:
            async with asyncio.timeout(self._s_max):
                status, headers, text = await self._exchange(msgspec.json.encode(body))
        except TimeoutError:
            raise TryAgain(f"no answer within {self._s_max:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TryAgain(self._hidden(str(error) or type(error).__name__)) from None
        shown = self._hidden(f"{status} {' '.join(text.split())}".rstrip())[:_SHOWN_CHARS_MAX]
        if 200 <= status < 300:
            return shown
        if status in _AGAIN or status >= 500:
            raise TryAgain(f"it answered {shown}", self._after_s(headers.get("retry-after", "")))
        raise Refused(f"it answered {shown}")

    async def close(self) -> None:
        await self._client.aclose()

    async def _exchange(self, content: bytes) -> tuple[int, Mapping[str, str], str]:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}
        async with self._client.stream("POST", self._url.reveal(), content=content, headers=headers) as answer:
            text = b""
            async for part in answer.aiter_bytes():
                text += part
                if len(text) >= _ANSWER_BYTES_MAX:
                    break
            return answer.status_code, answer.headers, text[:_ANSWER_BYTES_MAX].decode(errors="replace")

    def _after_s(self, text: str) -> float | None:
        """Of `Retry-After`: seconds, or a date."""
        if text.isascii() and text.isdecimal():
            return float(text[:9])
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - self._clock.now_ms() / 1000)

    def _hidden(self, message: str) -> str:
        for secret in self._hide:
            message = secret.hidden_in(message)
        return message
