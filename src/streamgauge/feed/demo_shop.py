"""The shop whose visitors the demo makes up: what there is, and how people move. Nothing happens here."""

from __future__ import annotations

from typing import Final, NamedTuple


class Country(NamedTuple):
    """`share` is of the visits of a whole week; `offset_min` is local time less UTC in minutes, without summer time."""

    code: str
    share: float
    offset_min: int
    mobile: float
    """The share of telephones among its devices."""
    distance: float
    """What its pages take to load, as a multiple of where the server is."""


COUNTRIES: Final = (
    Country("US", 0.19, -300, 0.48, 1.0),
    Country("US", 0.11, -480, 0.48, 1.1),
    Country("DE", 0.14, 60, 0.44, 1.2),
    Country("GB", 0.11, 0, 0.52, 1.2),
    Country("FR", 0.08, 60, 0.50, 1.3),
    Country("IN", 0.12, 330, 0.78, 2.1),
    Country("BR", 0.08, -180, 0.70, 1.8),
    Country("JP", 0.07, 540, 0.58, 1.6),
    Country("CA", 0.04, -300, 0.46, 1.0),
    Country("AU", 0.03, 600, 0.50, 1.9),
    Country("NL", 0.03, 60, 0.47, 1.2),
)

CURRENCY: Final = "USD"
"""Of all prices, so that revenue can be added up over countries."""


class Product(NamedTuple):
    page: str
    price: float


PRODUCTS: Final = tuple(
    Product(f"/product/{name}", price)
    for name, price in (
        ("rain-jacket", 129.0),
        ("hiking-boots", 149.0),
        ("headlamp", 39.0),
        ("water-bottle", 24.0),
        ("sleeping-bag", 179.0),
        ("two-person-tent", 329.0),
        ("trekking-poles", 69.0),
        ("camp-stove", 59.0),
        ("wool-socks", 18.0),
        ("daypack", 89.0),
    )
)
ARTICLES: Final = ("/blog/first-hut-tour", "/blog/how-to-dry-boots", "/blog/tents-compared")

Step = str
LEAVE: Final = "leave"

PAGES: Final = {
    "home": "/",
    "products": "/products",
    "sale": "/sale",
    "search": "/search",
    "blog": "/blog",
    "cart": "/cart",
    "pay": "/checkout",
    "thanks": "/checkout/thanks",
    "account": "/account",
    "help": "/help",
    "returns": "/help/returns",
    "about": "/about",
}
"""The page of a step, where it is always the same one."""

LANDINGS: Final[tuple[tuple[float, Step], ...]] = (
    (0.40, "home"),
    (0.26, "product"),
    (0.13, "products"),
    (0.11, "article"),
    (0.05, "sale"),
    (0.03, "help"),
    (0.02, "account"),
)

NEXT: Final[dict[Step, tuple[tuple[float, Step], ...]]] = {
    "home": ((0.36, "products"), (0.16, "product"), (0.09, "search"), (0.06, "sale"), (0.05, "blog"), (0.04, "account"),
             (0.02, "about"), (0.22, LEAVE)),
    "products": ((0.54, "product"), (0.14, "click"), (0.10, "search"), (0.22, LEAVE)),
    "search": ((0.58, "product"), (0.12, "search"), (0.30, LEAVE)),
    "sale": ((0.62, "product"), (0.12, "click"), (0.26, LEAVE)),
    "product": ((0.20, "click"), (0.17, "add_to_cart"), (0.20, "product"), (0.11, "products"), (0.03, "help"),
                (0.29, LEAVE)),
    "click": ((0.38, "product"), (0.16, "add_to_cart"), (0.20, "products"), (0.26, LEAVE)),
    "add_to_cart": ((0.60, "cart"), (0.24, "product"), (0.16, LEAVE)),
    "cart": ((0.56, "pay"), (0.16, "products"), (0.28, LEAVE)),
    "pay": ((0.88, "checkout"), (0.12, LEAVE)),
    "checkout": ((0.72, "purchase"), (0.06, "help"), (0.22, LEAVE)),
    "purchase": ((1.00, "thanks"),),
    "thanks": ((0.15, "account"), (0.85, LEAVE)),
    "blog": ((0.70, "article"), (0.30, LEAVE)),
    "article": ((0.22, "product"), (0.14, "article"), (0.10, "home"), (0.54, LEAVE)),
    "account": ((0.30, "products"), (0.10, "returns"), (0.60, LEAVE)),
    "help": ((0.30, "returns"), (0.20, "cart"), (0.50, LEAVE)),
    "returns": ((0.20, "home"), (0.80, LEAVE)),
    "about": ((0.40, "products"), (0.60, LEAVE)),
}  # fmt: skip
"""From a step to the next one, with its probability. `click`, `add_to_cart`, `checkout` and `purchase` are events on
the page where the visitor is; all others are page views."""

ACTIONS: Final = frozenset({"click", "add_to_cart", "checkout", "purchase"})

REFERRERS: Final[tuple[tuple[float, str | None], ...]] = (
    (0.38, "https://www.google.com/"),
    (0.34, None),
    (0.10, "https://www.instagram.com/"),
    (0.08, "https://www.bing.com/"),
    (0.06, "https://www.youtube.com/"),
    (0.04, "https://duckduckgo.com/"),
)

HOURS: Final = (
    0.45, 0.27, 0.18, 0.13, 0.13, 0.19, 0.36, 0.62, 0.88, 1.08, 1.20, 1.26,
    1.32, 1.26, 1.20, 1.20, 1.26, 1.36, 1.52, 1.72, 1.82, 1.66, 1.22, 0.75,
)  # fmt: skip
"""Visits by the hour of local time; minutes between are interpolated."""

WEEKEND: Final = 0.72
"""Visits on a Saturday or Sunday (local time), where a weekday has 1."""


class Story(NamedTuple):
    """Something that happens once a week: from a minute of the week (UTC, from Monday 00:00), for so many minutes."""

    start_min: int
    minutes: int


NEWSLETTER: Final = Story(start_min=2 * 1_440 + 17 * 60, minutes=120)
"""Goes out on Wednesday at 17:00 UTC to Europe: many visits to the sale within minutes, then ever fewer."""
NEWSLETTER_COUNTRIES: Final = frozenset({"DE", "GB", "FR", "NL"})

SLOW_CHECKOUT: Final = Story(start_min=0 * 1_440 + 14 * 60 + 10, minutes=50)
"""On Monday at 14:10 UTC the payment provider is slow: pages of the checkout take long, and few people wait."""
