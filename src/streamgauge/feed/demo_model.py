"""A shop's visitors as a function of time: the same minute always has the same events, in every process.

A visit is made up from the minute in which it begins and then goes on for some minutes, so the events of a minute
come from the visits of the last `VISIT_MINUTES_MAX`. Of `random.Random` only `random()` is used: it alone is
promised to stay the same in all versions of Python.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from random import Random
from typing import Any, Final, NamedTuple

from streamgauge.feed import demo_shop as shop
from streamgauge.model import MINUTE_MS

Event = dict[str, Any]
_Random = Callable[[], float]

VISIT_MINUTES_MAX: Final = 20
VISITS_A_MINUTE: Final = 16.0
"""On average over a week; about 4 events each."""

_DAY_MINUTES: Final = 1_440
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_EPOCH_WEEKDAY_MINUTES: Final = 3 * _DAY_MINUTES  # 1970-01-01 was a Thursday
_KNOWN_SHARE: Final = 0.6
"""Of the visits, those of people with an account."""
_USERS: Final = 12_000


class _Choice(NamedTuple):
    """Things with probabilities, ready to be drawn from."""

    bounds: list[float]
    things: list[Any]

    @classmethod
    def of(cls, weighted: Sequence[tuple[float, Any]]) -> _Choice:
        bounds = list(accumulate(weight for weight, _ in weighted))
        return cls([bound / bounds[-1] for bound in bounds], [thing for _, thing in weighted])

    def draw(self, chance: float) -> Any:
        return self.things[bisect(self.bounds, chance)]


class _Moment(NamedTuple):
    """What is different in one minute from others. `newsletter` is how many visits it brings for each usual one."""

    newsletter: float
    is_checkout_slow: bool

    def slowness_of(self, step: str) -> int:
        return 8 if self.is_checkout_slow and step in ("pay", "thanks") else 1


class DemoModel:
    """Quick where minutes are asked for in order."""

    def __init__(self) -> None:
        self._landing = _Choice.of(shop.LANDINGS)
        self._referrer = _Choice.of(shop.REFERRERS)
        self._next: Mapping[str, _Choice] = {step: _Choice.of(following) for step, following in shop.NEXT.items()}
        self._curve = _day_curve()
        self._first_user = [0, *accumulate(int(_USERS * country.share) for country in shop.COUNTRIES)]
        self._next_minute = -1
        self._pending: dict[int, list[Event]] = {}

    def events_of_minute(self, minute: int) -> list[Event]:
        """The events of a minute, counted from 1970, oldest first."""
        if minute != self._next_minute:
            self._pending = {}
            for earlier in range(minute - VISIT_MINUTES_MAX, minute):
                self._begin_visits(earlier)
                self._pending.pop(earlier, None)
        self._begin_visits(minute)
        self._next_minute = minute + 1
        return sorted(self._pending.pop(minute, ()), key=itemgetter("timestamp"))

    def _begin_visits(self, minute: int) -> None:
        random = Random(minute).random
        moment = _moment_of(minute)
        weights = [self._weight(country, minute, moment) for country in shop.COUNTRIES]
        bounds = list(accumulate(weights))
        for number in range(_poisson(bounds[-1], random)):
            place = bisect(bounds, random() * bounds[-1])
            for event in self._visit(minute, number, place, moment, random):
                self._pending.setdefault(event["timestamp"] // MINUTE_MS, []).append(event)

    def _weight(self, country: shop.Country, minute: int, moment: _Moment) -> float:
        """The expected number of visits that begin in this minute."""
        local = (minute + _EPOCH_WEEKDAY_MINUTES + country.offset_min) % _WEEK_MINUTES
        weekend = shop.WEEKEND if local >= 5 * _DAY_MINUTES else 1.0
        mailed = moment.newsletter if country.code in shop.NEWSLETTER_COUNTRIES else 0.0
        return VISITS_A_MINUTE * country.share * (self._curve[local % _DAY_MINUTES] * weekend + mailed)

    def _visit(self, minute: int, number: int, place: int, moment: _Moment, random: _Random) -> list[Event]:
        """The events of the visit that is number `number` of those that begin in a minute, from country `place`."""
        country = shop.COUNTRIES[place]
        is_mailed = country.code in shop.NEWSLETTER_COUNTRIES and random() < moment.newsletter / (moment.newsletter + 1)
        visitor = self._visitor(minute, number, place, random)
        referrer = "newsletter" if is_mailed else self._referrer.draw(random())
        step = "sale" if is_mailed else self._landing.draw(random())
        product, page = shop.PRODUCTS[0], "/"
        time_ms = minute * MINUTE_MS + int(random() * MINUTE_MS)
        end_ms = (minute + VISIT_MINUTES_MAX) * MINUTE_MS
        events: list[Event] = []
        while step != shop.LEAVE and time_ms < end_ms:
            if step in shop.ACTIONS:
                events.append({"event": step, "timestamp": time_ms, **visitor, "page": page})
                if step in ("add_to_cart", "purchase"):
                    events[-1].update(_bought(product))
                time_ms += 2_000 + int(random() * 9_000)
            else:
                if step == "product":
                    product = shop.PRODUCTS[int(len(shop.PRODUCTS) * random() ** 1.6)]
                page = _page_of(step, product, random)
                load_ms = _load_ms(country, visitor["device"], random()) * moment.slowness_of(step)
                events.append({"event": "page_view", "timestamp": time_ms, **visitor, "page": page, "load_ms": load_ms})
                time_ms += 3_000 - int(22_000 * math.log(1.0 - random()))
            step = self._next[step].draw(random())
            if step == "purchase" and moment.is_checkout_slow and random() < 0.85:
                step = shop.LEAVE
        if referrer is not None:
            events[0]["referrer"] = referrer
        return events

    def _visitor(self, minute: int, number: int, place: int, random: _Random) -> Event:
        country = shop.COUNTRIES[place]
        if random() >= _KNOWN_SHARE:
            return {
                "anonymous_id": f"v-{minute:x}-{number}",
                "country": country.code,
                "device": _device(country, random()),
            }
        first, end = self._first_user[place], self._first_user[place + 1]
        user = first + int((end - first) * random() ** 2.5)  # some come far more often than others
        return {"user_id": f"u-{user:05}", "country": country.code, "device": _device(country, user * 0.618034 % 1)}


def _moment_of(minute: int) -> _Moment:
    of_week = (minute + _EPOCH_WEEKDAY_MINUTES) % _WEEK_MINUTES
    mailed_min = of_week - shop.NEWSLETTER.start_min
    slow_min = of_week - shop.SLOW_CHECKOUT.start_min
    return _Moment(
        newsletter=7.0 * math.exp(-mailed_min / 30) if 0 <= mailed_min < shop.NEWSLETTER.minutes else 0.0,
        is_checkout_slow=0 <= slow_min < shop.SLOW_CHECKOUT.minutes,
    )


def _day_curve() -> list[float]:
    """Visits by the minute of the local day: 1 on average over a week with its weekend."""
    week = (5 + 2 * shop.WEEKEND) / 7
    mean = sum(shop.HOURS) / 24 * week
    curve = []
    for minute in range(_DAY_MINUTES):
        hour, part = divmod(minute, 60)
        here, there = shop.HOURS[hour], shop.HOURS[(hour + 1) % 24]
        curve.append((here + (there - here) * part / 60) / mean)
    return curve


def _poisson(mean: float, random: _Random) -> int:
    """How many times something happens that happens `mean` times on average (Knuth's way)."""
    limit, product, count = math.exp(-mean), random(), 0
    while product > limit:
        product *= random()
        count += 1
    return count


def _device(country: shop.Country, chance: float) -> str:
    if chance < country.mobile:
        return "mobile"
    return "tablet" if chance < country.mobile + 0.07 else "desktop"


def _load_ms(country: shop.Country, device: str, chance: float) -> int:
    slowness = country.distance * (1.5 if device == "mobile" else 1.0)
    return int(slowness * (140 - 190 * math.log(1.0 - chance)))


def _page_of(step: str, product: shop.Product, random: _Random) -> str:
    if step == "product":
        return product.page
    if step == "article":
        return shop.ARTICLES[int(len(shop.ARTICLES) * random())]
    return shop.PAGES[step]


def _bought(product: shop.Product) -> Event:
    return {"product": product.page, "price": product.price, "currency": shop.CURRENCY}
