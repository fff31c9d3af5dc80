"""The client of the ingest API: sends numbered events once each, over interruptions of every kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx
import msgspec
import stamina
import zstandard

from streamgauge import __version__
from streamgauge.feed.errors import FeedError

PATIENCE_S: Final = 180.0
_RETRY_AFTER_S_MAX: Final = 60.0
_REJECTIONS_LISTED_MAX: Final = 100
"""Of one answer, as the HTTP API says."""
KEY_VARIABLE: Final = "STREAMGAUGE_KEY"
"""Not an option of the commands: other users of a machine see the command lines of all."""

T = TypeVar("T")
_RUN_AGAIN: Final = "run the same command again: it goes on where it stopped"


class Registration(msgspec.Struct, frozen=True):
    """What the server knows of a sequence. `next_sequence` is one past the highest number that it has."""

    producer: str
    source: str
    shift_ms: int
    next_sequence: int
    created: bool = False


class Refused(msgspec.Struct, frozen=True):
    """An item that the server did not accept, by its index in what was sent."""

    index: int
    code: str
    message: str


class _Answer(msgspec.Struct, frozen=True):
    count: int
    rejected: list[Refused] = []
    rejected_count: int = 0


class _UnavailableError(Exception):
    """Nothing was accepted; the server says that trying again can help."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{_message(response)[0]} ({response.status_code})")
        self.retry_after_s: float | None = None
        stated = response.headers.get("retry-after", "")
        if stated.isascii() and stated.isdecimal():
            self.retry_after_s = min(float(stated), _RETRY_AFTER_S_MAX)


def connect(url: str) -> httpx.AsyncClient:
    """With the key of the environment, where there is one. Raises FeedError where the URL can't be one of a server."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _not_a_url(url) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _not_a_url(url)
    return httpx.AsyncClient(
        base_url=parsed,
        timeout=httpx.Timeout(60, connect=5),
        headers={"User-Agent": f"streamgauge/{__version__}", **_authorization()},
        # A proxy of the environment can't reach this machine's own addresses.
        mounts={"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None},
    )


def _authorization() -> dict[str, str]:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key.isascii() or not key.isprintable():
        raise FeedError(f"{KEY_VARIABLE} is not a key", hint="set it to what `streamgauge keys create` printed")
    return {"Authorization": f"Bearer {key}"} if key else {}


async def reach(client: httpx.AsyncClient) -> None:
    """Raises FeedError where no server answers now: better known before a large file is read than after."""
    try:
        await client.get("/healthz")
    except httpx.TransportError as error:
        raise _unreachable(client, error) from error


async def ask(client: httpx.AsyncClient, path: str, kind: type[T], parameters: Mapping[str, str | int]) -> T:
    """What the server answers. Raises FeedError where it answers an error, in the server's words, or not at all."""
    return await _answer(client, client.build_request("GET", path, params=parameters or None), kind)


async def tell(client: httpx.AsyncClient, path: str, kind: type[T], content: Mapping[str, str | int]) -> T:
    """The same, of a POST of one JSON object."""
    return await _answer(client, client.build_request("POST", path, json=content), kind)


def request_failed(response: httpx.Response) -> FeedError:
    """In the server's words, where these are of use here."""
    message, hint = _message(response)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        hint = f"set the environment variable {KEY_VARIABLE} to a key: streamgauge keys create NAME --scope admin"
    return FeedError(message, hint=hint)


async def _answer(client: httpx.AsyncClient, request: httpx.Request, kind: type[T]) -> T:
    try:
        response = await client.send(request)
    except httpx.TransportError as error:
        raise _unreachable(client, error) from error
    if response.is_error:
        raise request_failed(response)
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise _no_streamgauge(client, response) from error


class Producer:
    """One sequence, sent in order by one caller at a time.

    Connection errors, 429 and 5xx are tried again for `patience_s` (None: for ever), and each time `on_wait` is told
    why. All methods raise FeedError when the patience is over, or when the server refuses in a way that trying again
    doesn't change.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        name: str,
        *,
        patience_s: float | None = PATIENCE_S,
        on_wait: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._client = client
        self._name = name
        self._patience_s = patience_s
        self._on_wait = on_wait
        self._compress = zstandard.ZstdCompressor(level=1).compress

    async def register(self, source: str, shift_ms: int) -> Registration:
        """Register the sequence, or find it: then source and shift of the answer are those of the first time."""
        body = msgspec.json.encode({"producer": self._name, "source": source, "shift_ms": shift_ms})
        response = await self._post("/imports", body, {"Content-Type": "application/json"})
        return self._decoded(response, Registration)

    async def send(self, sequence: int, items: Sequence[bytes]) -> list[Refused]:
        """Send items, each one JSON value, numbered from `sequence` up; which of them were refused, in order.

        When it returns, all others are durable. It may be repeated with the same items and numbers.
        """
        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "zstd",
            "Streamgauge-Producer": self._name,
            "Streamgauge-Sequence": str(sequence),
        }
        response = await self._post("/events", self._compress(b"\n".join(items)), headers)
        if response.status_code == 413:
            return await self._send_halves(sequence, items, response)
        answer = self._decoded(response, _Answer)
        if answer.rejected_count <= len(answer.rejected) or len(items) <= _REJECTIONS_LISTED_MAX:
            return answer.rejected
        return answer.rejected + await self._send_slices(sequence, items, answer.rejected[-1].index + 1)

    async def _send_halves(self, sequence: int, items: Sequence[bytes], response: httpx.Response) -> list[Refused]:
        if len(items) == 1:
            return [Refused(0, "too_large", _message(response)[0])]
        half = len(items) // 2
        refused = await self.send(sequence, items[:half])
        return refused + _moved(await self.send(sequence + half, items[half:]), half)

    async def _send_slices(self, sequence: int, items: Sequence[bytes], start: int) -> list[Refused]:
        """Learn of rejections that were not listed, by repeating the items in slices of which each one is listed.
        The good ones were accepted before and have the same numbers, so they are not counted again."""
        refused: list[Refused] = []
        for index in range(start, len(items), _REJECTIONS_LISTED_MAX):
            some = items[index : index + _REJECTIONS_LISTED_MAX]
            refused += _moved(await self.send(sequence + index, some), index)
        return refused

    async def _post(self, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        try:
            async for attempt in stamina.retry_context(
                on=self._wait_before_retry,
                attempts=None,
                timeout=self._patience_s,
                wait_initial=0.2,
                wait_max=10,
                wait_jitter=0.2,
            ):
                with attempt:
                    response = await self._client.post(path, content=content, headers=headers)
                    if response.status_code == 429 or response.status_code >= 500:
                        raise _UnavailableError(response)
                    return response
        except httpx.TransportError as error:
            raise FeedError(f"lost the server at {self._client.base_url}: {_reason(error)}", hint=_RUN_AGAIN) from error
        except _UnavailableError as error:
            raise FeedError(
                f"the server at {self._client.base_url} could not take more: {error}", hint=_RUN_AGAIN
            ) from error
        raise AssertionError("a retry context ends by returning or raising")

    def _wait_before_retry(self, error: Exception) -> bool | float:
        """Whether to try again, or in how many seconds."""
        if isinstance(error, _UnavailableError):
            self._on_wait(str(error))
            return True if error.retry_after_s is None else error.retry_after_s
        if isinstance(error, httpx.TransportError):
            self._on_wait(f"no connection: {_reason(error)}")
            return True
        return False

    def _decoded(self, response: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError:
            message, hint = _message(response)
            if response.is_error:
                raise FeedError(f"the server refused: {message} ({response.status_code})", hint=hint) from None
            raise _no_streamgauge(self._client, response) from None


def _unreachable(client: httpx.AsyncClient, error: httpx.TransportError) -> FeedError:
    return FeedError(
        f"no server answers at {client.base_url}: {_reason(error)}",
        hint="start it with: streamgauge up, or give its address with --url",
    )


def _no_streamgauge(client: httpx.AsyncClient, response: httpx.Response) -> FeedError:
    return FeedError(f"{client.base_url} doesn't answer like Streamgauge ({response.status_code})", hint="check --url")


def _message(response: httpx.Response) -> tuple[str, str]:
    """Message and hint of an error, by the one shape that all errors of the API have."""
    try:
        content: Any = response.json()
        return str(content["error"]["message"]), str(content["error"].get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.reason_phrase or "an error without a message", "check --url: is it Streamgauge?"


def _moved(refused: Sequence[Refused], by: int) -> list[Refused]:
    return [Refused(one.index + by, one.code, one.message) for one in refused]


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _not_a_url(url: str) -> FeedError:
    return FeedError(f"{url!r} is not the address of a server", hint="write it like http://127.0.0.1:8080")
