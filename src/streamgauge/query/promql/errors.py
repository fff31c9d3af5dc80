"""What can be wrong with a PromQL question: how it's written, or what it finds."""

from __future__ import annotations

from streamgauge.core.errors import InvalidRequest


class PromqlSyntaxError(InvalidRequest):
    """The text is not PromQL: Prometheus' `bad_data`."""

    code = "bad_data"


class PromqlExecutionError(InvalidRequest):
    """The question is well formed, but what it finds has no answer: Prometheus' `execution`."""

    code = "execution"


class PromqlUnsupported(PromqlSyntaxError):
    """PromQL that this evaluator doesn't offer: experimental or about native histograms."""

    code = "unsupported"


def same_labelset() -> PromqlExecutionError:
    return PromqlExecutionError(
        "vector cannot contain metrics with the same labelset",
        hint="keep the labels that tell the series apart, or aggregate them away",
    )
