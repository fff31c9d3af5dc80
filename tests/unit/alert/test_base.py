"""The identity of an alert."""

from __future__ import annotations

from streamgauge.alert.base import Alert, fingerprint_of


def test_a_fingerprint_is_of_the_labels_in_any_order_and_of_nothing_else() -> None:
    one = Alert({"alertname": "A", "country": "US"}, {"summary": "x"}, 1.0, 1, None, "")
    other = Alert({"country": "US", "alertname": "A"}, {}, 2.0, 5, 9, "http://x", ((1, 1.0),))
    assert one.fingerprint == other.fingerprint


def test_different_labels_have_different_fingerprints_also_where_their_texts_run_together() -> None:
    found = [{"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"a": "b"}, {}, {"a": "b", "c": "d"}, {"a": "bc1:d"}]
    assert len({fingerprint_of(labels) for labels in found}) == len(found)
