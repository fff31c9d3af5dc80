"""The functions of templates, as Prometheus has them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

import polars as pl

from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.written import general_number

_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL_PREFIXES: Final = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY_PREFIXES: Final = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_WIDTH_MAX: Final = 100


def is_true(value: Any) -> bool:
    """Neither nothing, nor 0, nor empty."""
    return bool(value)


def shown(value: Any) -> str:
    """As Go prints it by `%v`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return general_number(float(value))
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{one}' for name, one in sorted(value.items()))}]"
    return str(value)


def _four_digits(value: float) -> str:
    return general_number(value) if not math.isfinite(value) else f"{value:.4g}"


def _float(value: Any) -> float:
    return float(value)


def _humanize(value: Any) -> str:
    number = _float(value)
    if number == 0 or not math.isfinite(number):
        return _four_digits(number)
    if abs(number) >= 1:
        for prefix in _PREFIXES:
            if abs(number) < 1000 or prefix == _PREFIXES[-1]:
                return f"{number:.4g}{prefix}"
            number /= 1000
    for prefix in _SMALL_PREFIXES:
        number *= 1000
        if abs(number) >= 1:
            return f"{number:.4g}{prefix}"
    return f"{number:.4g}{_SMALL_PREFIXES[-1]}"


def _humanize1024(value: Any) -> str:
    number = _float(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return _four_digits(number)
    prefix = ""
    for name in _BINARY_PREFIXES:
        if abs(number) < 1024:
            break
        prefix = name
        number /= 1024
    return f"{number:.4g}{prefix}"


def _humanize_duration(value: Any) -> str:
    number = _float(value)
    if not math.isfinite(number):
        return _four_digits(number)
    if number == 0:
        return "0s"
    if abs(number) >= 1:
        sign, whole = "-" if number < 0 else "", int(abs(number))
        days, hours, minutes, seconds = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
        if days:
            return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
        if hours:
            return f"{sign}{hours}h {minutes}m {seconds}s"
        return f"{sign}{minutes}m {seconds}s" if minutes else f"{number:.4g}s"
    return f"{_humanize(number)}s"


def _humanize_percentage(value: Any) -> str:
    return f"{_four_digits(_float(value) * 100)}%"


def _humanize_timestamp(value: Any) -> str:
    number = _float(value)
    if not math.isfinite(number):
        return _four_digits(number)
    moment = datetime.fromtimestamp(number, UTC)
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


_VERB: Final = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])")


def _printf(pattern: Any, *values: Any) -> str:
    """The verbs v s q t d x X f F e E g G and %."""
    left = list(values)

    def written(found: re.Match[str]) -> str:
        flags, width, digits, verb = found.groups()
        if verb == "%":
            return "%"
        if int(width or 0) > _WIDTH_MAX or int(digits or 0) > _WIDTH_MAX:
            raise ValueError(f"printf: a width over {_WIDTH_MAX}")
        if not left:
            return f"%!{verb}(MISSING)"
        return _formatted(flags, width, digits, verb, left.pop(0))

    return _VERB.sub(written, str(pattern))


def _formatted(flags: str, width: str, digits: str | None, verb: str, value: Any) -> str:
    padded = f"%{'-' if '-' in flags else ''}{width}s"
    if verb in "vsqt":
        text = shown(value)
        return padded % (f'"{text}"' if verb == "q" else text[: int(digits)] if digits and verb == "s" else text)
    number = _float(value)
    if verb in "dxX":
        return f"%{flags}{width}{verb}" % int(number)
    if verb not in "fFeEgG":
        raise ValueError(f"printf: %{verb} is not offered")
    if not math.isfinite(number) or (verb in "gG" and digits is None):
        return padded % general_number(number)
    return f"%{flags}{width}.{digits or 6}{verb}" % number


def _compared(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if isinstance(left, str) is not isinstance(right, str):
            raise TypeError("a text and a number can't be compared")
        return test(left, right)

    return compare


def _replaced(pattern: str, replacement: str, text: Any) -> str:
    template = re.sub(r"\$(\d+)", r"${\1}", replacement)
    try:
        return str(pl.Series([shown(text)]).str.replace_all(pattern, template)[0])
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"invalid regular expression {pattern!r}") from error


def _matched(pattern: str, text: Any) -> bool:
    try:
        return bool(pl.Series([shown(text)]).str.contains(pattern)[0])
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"invalid regular expression {pattern!r}") from error


def _and(*values: Any) -> Any:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if is_true(value)), values[-1])


def _index(found: Any, *names: Any) -> Any:
    for name in names:
        found = found.get(name, "") if isinstance(found, Mapping) else found[int(name)]
    return found


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": _humanize_percentage,
    "humanizeTimestamp": _humanize_timestamp,
    "parseDuration": lambda text: duration_ms(str(text)) / 1000,
    "printf": _printf,
    "print": lambda *values: "".join(map(shown, values)),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "title": lambda text: re.sub(r"\b\w", lambda found: found[0].upper(), shown(text)),
    "toUpper": lambda text: shown(text).upper(),
    "toLower": lambda text: shown(text).lower(),
    "match": _matched,
    "reReplaceAll": _replaced,
    "stripPort": lambda text: re.sub(r":\d+$", "", shown(text)),
    "stripDomain": lambda text: re.sub(r"^([^.:]+)\.[^:]*", r"\1", shown(text)),
    "urlquery": lambda text: quote_plus(shown(text)),
    "len": lambda value: float(len(value)),
    "index": _index,
    "not": lambda value: not is_true(value),
    "and": _and,
    "or": _or,
    "eq": lambda left, *others: any(left == other for other in others),
    "ne": lambda left, right: left != right,
    "lt": _compared(lambda left, right: left < right),
    "le": _compared(lambda left, right: left <= right),
    "gt": _compared(lambda left, right: left > right),
    "ge": _compared(lambda left, right: left >= right),
}
