"""What is drawn beside an alert."""

from __future__ import annotations

from promql_series import Memory, series
from streamgauge.alert.trend import POINTS, Curve, curve_of, drawn
from streamgauge.model import Rollup
from streamgauge.query.promql.engine import Engine

VIEWS = Rollup("page_views", ("country", "device"))
SLOWEST = Rollup("slowest", ("page",), measure={"max": "load_ms"}, window="5m")


def test_the_curve_is_of_the_metric_that_the_rule_reads_for_the_alert_s_own_dimensions() -> None:
    labels = {"alertname": "Drop", "country": 'U"S', "severity": "page"}
    assert curve_of({"page_views"}, [SLOWEST, VIEWS], labels) == Curve(r'sum(page_views{country="U\"S"})', 60_000)
    assert curve_of({"slowest"}, [SLOWEST, VIEWS], {"page": "/"}) == Curve('max(slowest{page="/"})', 300_000)
    assert curve_of({"up"}, [SLOWEST, VIEWS], labels) is None


def test_points_are_those_of_the_last_hour_up_to_the_evaluation() -> None:
    us = series({minute * 60: float(minute) for minute in range(1, 200)}, name="page_views", country="US")
    de = series({minute * 60: 1.0 for minute in range(1, 200)}, name="page_views", country="DE")
    engine = Engine(Memory(us, de))
    curves = {"a": Curve('sum(page_views{country="US"})', 60_000), "b": Curve("sum(page_views)", 60_000)}
    found = drawn(curves, engine, 150 * 60_000 + 7_000)
    assert found["a"] == tuple((minute * 60_000, float(minute)) for minute in range(151 - POINTS, 151))
    assert found["b"][-1] == (150 * 60_000, 151.0)


def test_what_can_not_be_drawn_is_left_out() -> None:
    curves = {"bad": Curve("sum(", 60_000), "none": Curve("sum(page_views)", 60_000)}
    assert drawn(curves, Engine(Memory()), 600_000) == {"none": ()}
