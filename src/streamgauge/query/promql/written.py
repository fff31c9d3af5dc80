"""Numbers as Prometheus writes and reads them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE)


def written_number(value: float) -> str:
    """The shortest decimal that reads back as `value`, without an exponent; `NaN`, `+Inf`, `-Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def general_number(value: float) -> str:
    """The same, with an exponent below 0.0001 and from a million on, as Go's `%g` has it."""
    if math.isfinite(value) and value and not 1e-4 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{Decimal(repr(value)):e}".partition("e")
        shortest = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{shortest}e{exponent[0]}{exponent[1:].zfill(2)}"
    return written_number(value)


def metrics_number(value: float) -> str:
    """The same, recognisable as a float: `1.0`, as OpenMetrics has it in labels."""
    text = general_number(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def parsed_number(text: str) -> float | None:
    """The number a label's value spells; None where it doesn't."""
    return float(text) if _NUMBER.fullmatch(text) else None
