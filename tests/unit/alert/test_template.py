"""Templates of labels and annotations, as Prometheus expands them."""

from __future__ import annotations

import math

import pytest

from streamgauge.alert.template import Template, TemplateError

LABELS = {"country": "US", "path": "/a/b", "host": "web1.example.com:8080"}


def expanded(text: str, value: float = 0.3) -> str:
    return Template(text, "here").expand(LABELS, value)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("plain } text", 1.0, "plain } text"),
        ("{{ $labels.country }}/{{ .Labels.country }}/{{$labels.nothing}}", 1.0, "US/US/"),
        ("{{ $value }} {{ .Value }}", 0.25, "0.25 0.25"),
        ("{{ $value }}", 3.0, "3"),
        ("{{ $value }}", 1e6, "1e+06"),
        ("{{ $value }}", 123456789.0, "1.23456789e+08"),
        ("{{ $value }}", 1.5e-7, "1.5e-07"),
        ("{{ $value }}", math.inf, "+Inf"),
        ("{{ $value | humanize }}", 1234567.0, "1.235M"),
        ("{{ humanize $value }}", 0.00123, "1.23m"),
        ("{{ $value | humanize }}", 0.0, "0"),
        ("{{ $value | humanize }}", math.nan, "NaN"),
        ("{{ $value | humanize1024 }}", 1048576.0, "1Mi"),
        ("{{ $value | humanizeDuration }}", 93784.0, "1d 2h 3m 4s"),
        ("{{ $value | humanizeDuration }}", -61.0, "-1m 1s"),
        ("{{ $value | humanizeDuration }}", 1.5, "1.5s"),
        ("{{ $value | humanizeDuration }}", 0.0123, "12.3ms"),
        ("{{ $value | humanizePercentage }}", 0.1234567, "12.35%"),
        ("{{ $value | humanizeTimestamp }}", 1435065584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ('{{ printf "%.2f of %s is %5d|%v|%q" $value $labels.country 3 1.5 "x" }}', 0.5, '0.50 of US is     3|1.5|"x"'),
        ('{{ "a" | printf "%s-%s" "b" }}', 0.0, "b-a"),
        ("{{ if gt $value 1.0 }}high{{ else if gt $value 0.5 }}middle{{ else }}low{{ end }}", 0.7, "middle"),
        ("{{ if and (gt $value 1.0) $labels.country }}a{{ else }}b{{ end }}", 2.0, "a"),
        ('{{ if eq $labels.country "DE" "US" }}yes{{ end }}', 0.0, "yes"),
        ("{{ with $labels.path }}{{ . }}!{{ end }}{{ with $labels.nothing }}never{{ end }}", 0.0, "/a/b!"),
        ("{{ $x := $labels.country }}{{ $x | toLower }}", 0.0, "us"),
        ("a  {{- /* said to nobody */ -}}  b", 0.0, "ab"),
        ('{{ reReplaceAll `/(\\w)` "-$1" $labels.path }}', 0.0, "-a-b"),
        ('{{ match "^web" $labels.host }} {{ stripPort $labels.host }}', 0.0, "true web1.example.com"),
        ('{{ index $labels "country" }}{{ title "some words" }}', 0.0, "USSome Words"),
        ('{{ "{{" }} {{ `}}` }} {{ "\\"" }}', 0.0, '{{ }} "'),
    ],
)
def test_a_template_becomes_what_prometheus_makes_of_it(text: str, value: float, expected: str) -> None:
    assert expanded(text, value) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ $value", "`{{` without `}}`"),
        ("{{ if $value }}x", "without `end`"),
        ("x{{ end }}", "without an `if`"),
        ('{{ query "up" | first | value }}', "`query` is not offered"),
        ("{{ range .Labels }}{{ end }}", "`range` is not offered"),
        ("{{ $value $value }}", "one value"),
        ("{{ ($value }}", "without `)`"),
        ("{{ $value ~ 3 }}", "not understood"),
        ("{{ }}", "one value"),
        ("x" * 20_000, "over 16,384 characters"),
    ],
)
def test_what_is_no_template_is_refused_when_it_is_read(text: str, problem: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template(text, "group 'g', rule 1: summary")
    assert problem in error.value.message
    assert error.value.message.startswith("group 'g', rule 1: summary")


@pytest.mark.parametrize(
    "text", ["{{ $nothing }}", '{{ gt $labels.country 1.0 }}', '{{ printf "%z" 1 }}', "{{ humanize $labels.country }}",
             '{{ printf "%999999999d" 1 }}', '{{ reReplaceAll "(" "" "x" }}', "{{ humanize }}", "{{ $value.x }}",
             "{{ humanizeTimestamp 1e17 }}", '{{ parseDuration "soon" }}', '{{ $severity = "page" }}'],
)  # fmt: skip
def test_what_can_not_be_expanded_says_so(text: str) -> None:
    with pytest.raises(TemplateError):
        expanded(text)


def test_a_variable_of_a_block_around_it_is_assigned_to() -> None:
    text = '{{ $s := "ticket" }}{{ if gt $value 10.0 }}{{ $s = "page" }}{{ $s := "inner" }}{{ end }}{{ $s }}'
    assert (expanded(text, 20), expanded(text, 2)) == ("page", "ticket")


def test_a_text_that_doubles_itself_ends_where_it_would_be_too_long() -> None:
    with pytest.raises(TemplateError, match="over 65,536 characters"):
        expanded('{{ $x := "0123456789" }}' + "{{ $x = print $x $x }}" * 30 + "{{ $x }}")


def test_comments_without_an_end_are_refused_as_soon_as_others() -> None:
    with pytest.raises(TemplateError, match="without `}}`"):
        Template("{{ " + "/**/" * 2_000, "summary")
