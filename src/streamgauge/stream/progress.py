"""How fresh the answers are, as those can say it who don't count: from what each partition's runner notes down with
its offsets, and from where the log ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from streamgauge.core.clock import Clock
from streamgauge.core.soon import Soon
from streamgauge.log.base import EventLog, Place
from streamgauge.model import Freshness
from streamgauge.stream.ends import LogEnds
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.watermark import Watermarks


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """Of the runner of one partition, after a commit; all in ms since 1970. `greatest_ms`: of the event times that it
    counted; `read_at_ms`: when it read something last; what was received before `waiting_since_ms` is counted;
    `oldest_open_ms`: the start of the oldest open session."""

    greatest_ms: int = 0
    read_at_ms: int = 0
    waiting_since_ms: int = 0
    oldest_open_ms: int | None = None

    def note(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def of(cls, note: str) -> Progress:
        """Nothing is known where a note isn't one of these: another program committed it."""
        try:
            return msgspec.json.decode(note, type=cls)
        except msgspec.DecodeError:
            return cls()


class GroupFreshness:
    """Freshness of the answers while the group of runners counts. Asked on the event loop."""

    def __init__(
        self, log: EventLog, places: Callable[[], Awaitable[Mapping[int, Place]]], clock: Clock, spec: PipelineSpec
    ) -> None:
        """`places`: how far the group is, of each partition. May raise Unavailable."""
        self._places_of_group = Soon(places)
        self._clock = clock
        self._ends = LogEnds(log, clock)
        self._watermarks = Watermarks(spec.watermark_delay_ms, spec.idle_partition_ms)
        self._places: Mapping[int, Place] = {}
        self._caught_up_ms: dict[int, int] = {}

    async def freshness(self) -> Freshness:
        """While Kafka doesn't answer within a second or two, as it was when it did: nothing is known to be complete
        since."""
        asked_ms = self._clock.now_ms()
        now_ms, ends = await self._ends.last_known()  # before the offsets: what comes in between must not look counted
        if (places := await self._places_of_group.ask()) is not None:
            self._places = places
        else:
            now_ms = min(now_ms, max(self._caught_up_ms.values(), default=0))
        progress = {partition: Progress.of(place.note) for partition, place in self._places.items()}
        lags = {partition: max(0, end - self._offset(partition)) for partition, end in ends.items()}
        lagging = [partition for partition, lag in lags.items() if lag]
        for partition in lags.keys() - set(lagging):
            self._caught_up_ms[partition] = now_ms
        for partition, known in progress.items():
            if known.read_at_ms:
                self._watermarks.observe({partition: known.greatest_ms}, known.read_at_ms)
        complete_up_to_ms = self._watermarks.current_ms(now_ms, lagging)
        waiting = [
            max(progress.get(partition, Progress()).waiting_since_ms, self._caught_up_ms.get(partition, 0))
            for partition in lagging
        ]
        lag_ms = max(asked_ms - min(waiting, default=asked_ms), asked_ms - now_ms, 0)
        open_ms = [known.oldest_open_ms for known in progress.values() if known.oldest_open_ms is not None]
        return Freshness(complete_up_to_ms, lag_ms, sum(lags.values()), min([complete_up_to_ms, *open_ms]))

    def _offset(self, partition: int) -> int:
        place = self._places.get(partition)
        return place.offset if place is not None else 0
