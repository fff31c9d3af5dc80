"""Each receiver against one that is played on loopback and checks what it is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from played import Answer, Played, PlayedMailServer
from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification, Receiver, Refused, TryAgain, group_key
from streamgauge.alert.notify.receivers.made import Makers, address_of
from streamgauge.alert.notify.service import test_notification as a_test
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import ConfigError
from streamgauge.notify_settings import (
    AlertmanagerSettings,
    EmailSettings,
    PagerDutySettings,
    ReceiverSettings,
    SlackSettings,
    WebhookSettings,
)

NOW = 1_767_225_600_000
LABELS = {"alertname": "Drop", "country": "US", "severity": "page"}
POINTS = tuple((NOW - (10 - n) * 60_000, 100.0 - n * 3) for n in range(10))
FIRING = Alert(
    LABELS, {"summary": "traffic <fell> & stays"}, 73.0, NOW - 60_000, None, "https://gauge.example/?range=1h", POINTS
)
RESOLVED = msgspec.structs.replace(FIRING, ends_at_ms=NOW + 600_000)
SECRETS = {"HOOK": "", "KEY": "s3cret-key", "TOKEN": "s3cret-token", "PASSWORD": "s3cret-pass"}
Make = Callable[..., Receiver]


def notification(*alerts: Alert, name: str = "oncall") -> Notification:
    firing = tuple(one for one in alerts if one.ends_at_ms is None)
    resolved = tuple(one for one in alerts if one.ends_at_ms is not None)
    labels = {"alertname": "Drop"}
    return Notification(name, group_key(name, labels), labels, firing, resolved, NOW, valid_ms=240_000)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Receiver] = []

    def make(hook: str = "", **kind: Any) -> Receiver:
        makers = Makers(ManualClock(NOW), {**SECRETS, "HOOK": hook}, s_max=0.5, external_url="https://gauge.example")
        made.append(makers.make(ReceiverSettings("oncall", **kind)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_slack_shows_value_sparkline_and_link_and_escapes_what_is_not_ours(make: Make, slack: Played) -> None:
    receiver = make(f"{slack.url}/services/T/B/x", slack=SlackSettings(webhook_url_env="HOOK"))
    assert await receiver.send(notification(FIRING, RESOLVED)) == "200 ok"
    (one,) = slack.received
    assert one.path == "/services/T/B/x"
    header, firing, resolved = one.body["blocks"]
    assert header["text"]["text"] == "[FIRING:1] Drop"
    text = firing["text"]["text"]
    assert "*traffic &lt;fell&gt; &amp; stays*" in text
    assert "value *73*" in text
    assert "█" in text
    assert firing["accessory"]["url"] == "https://gauge.example/?range=1h"
    assert "resolved after 11 m" in resolved["text"]["text"]


async def test_slack_takes_a_storm_of_alerts_with_long_texts(make: Make, slack: Played) -> None:
    receiver = make(slack=SlackSettings(url=slack.url))
    long = msgspec.structs.replace(FIRING, annotations={"summary": "<" * 9_000}, labels={**LABELS, "x": "&" * 9_000})
    await receiver.send(notification(*[long] * 300))
    shown = [block["text"]["text"] for block in slack.bodies[0]["blocks"] if block["type"] == "section"]
    assert 0 < sum(map(len, shown)) <= 10_000
    assert f"and {300 - len(shown)} more" in json.dumps(slack.bodies[0])
    await receiver.send(notification(*[FIRING] * 300))
    assert "and 280 more" in json.dumps(slack.bodies[1])


async def test_pagerduty_is_triggered_and_resolved_with_the_same_key(make: Make, pagerduty: Played) -> None:
    receiver = make(pagerduty=PagerDutySettings(routing_key_env="KEY", url=f"{pagerduty.url}/v2/enqueue"))
    await receiver.send(notification(FIRING))
    await receiver.send(notification(RESOLVED))
    trigger, resolve = pagerduty.bodies
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["routing_key"] == resolve["routing_key"] == "s3cret-key"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["summary"].endswith("traffic <fell> & stays")
    assert trigger["links"] == [{"href": "https://gauge.example/?range=1h", "text": "traffic <fell> & stays"}]
    assert trigger["payload"]["custom_details"]["alerts"][0]["value"] == 73.0


async def test_pagerduty_takes_a_storm_of_alerts_with_long_texts(make: Make, pagerduty: Played) -> None:
    receiver = make(pagerduty=PagerDutySettings(routing_key_env="KEY", url=f"{pagerduty.url}/v2/enqueue"))
    long = msgspec.structs.replace(FIRING, annotations={"summary": "x" * 9_000})
    await receiver.send(notification(*[long] * 300))
    details = pagerduty.bodies[0]["payload"]["custom_details"]
    assert details["firing"] == 300
    assert details["alerts_not_shown"] + len(details["alerts"]) == 300


async def test_a_test_of_pagerduty_leaves_no_incident_open(make: Make, pagerduty: Played) -> None:
    receiver = make(pagerduty=PagerDutySettings(routing_key_env="KEY", url=f"{pagerduty.url}/v2/enqueue"))
    answer = await receiver.send(a_test("oncall", NOW))
    trigger, resolve = pagerduty.bodies
    assert trigger["payload"]["summary"].startswith("[TEST]")
    assert trigger["dedup_key"] == resolve["dedup_key"] != notification(FIRING).dedup_key
    assert resolve["event_action"] == "resolve"
    assert answer.startswith("trigger: 202 {")


async def test_a_webhook_is_sent_alertmanagers_payload_with_a_token(make: Make, webhook: Played) -> None:
    receiver = make(f"{webhook.url}/alerts", webhook=WebhookSettings(webhook_url_env="HOOK", bearer_token_env="TOKEN"))  # noqa: S106
    await receiver.send(notification(FIRING, RESOLVED))
    (one,) = webhook.received
    assert one.headers["authorization"] == "Bearer s3cret-token"
    assert one.body["groupKey"] == 'oncall:{alertname="Drop"}'
    assert one.body["commonLabels"] == LABELS
    assert one.body["externalURL"] == "https://gauge.example"
    assert [alert["status"] for alert in one.body["alerts"]] == ["firing", "resolved"]
    assert one.body["alerts"][0]["startsAt"] == "2025-12-31T23:59:00.000Z"


async def test_an_alertmanager_is_told_when_to_stop_believing(make: Make, alertmanager: Played) -> None:
    receiver = make(alertmanager=AlertmanagerSettings(url=f"{alertmanager.url}/"))
    await receiver.send(notification(FIRING, RESOLVED))
    firing, resolved = alertmanager.bodies[0]
    assert firing["endsAt"] == "2026-01-01T00:04:00.000Z"
    assert resolved["endsAt"] == "2026-01-01T00:10:00.000Z"


async def test_an_e_mail_has_text_and_html_and_a_retry_is_the_same_message(
    make: Make, mail_server: PlayedMailServer
) -> None:
    settings = EmailSettings(
        ("a@x.example", "b@x.example"),
        "gauge@x.example",
        "127.0.0.1",
        mail_server.port,
        "none",
        username="gauge",
        password_env="PASSWORD",  # noqa: S106
    )
    receiver = make(email=settings)
    assert await receiver.send(notification(FIRING)) == "accepted for a@x.example, b@x.example"
    await receiver.send(notification(FIRING))
    first, second = mail_server.mails
    assert "gauge@x.example" in first.sender
    assert len(first.recipients) == 2
    assert first.login.startswith("AUTH PLAIN ")
    assert first.message["Subject"] == "[FIRING:1] Drop"
    assert first.message["Message-ID"] == second.message["Message-ID"]
    body, page = (first.message.get_body((kind,)) for kind in ("plain", "html"))
    assert body is not None
    assert page is not None
    assert "FIRING: traffic <fell> & stays" in body.get_content()
    assert "traffic &lt;fell&gt; &amp; stays" in page.get_content()
    assert "█" in body.get_content()


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        ("MAIL", "451 4.3.0 try later", TryAgain),
        ("RCPT", "450 4.2.1 mailbox busy", TryAgain),
        ("RCPT", "550 5.1.1 no such user", Refused),
        ("DATA", "554 5.7.1 spam", Refused),
        ("AUTH", "535 5.7.8 s3cret-pass is wrong", Refused),
    ],
)
async def test_a_mail_server_says_whether_a_retry_has_a_point(
    make: Make, mail_server: PlayedMailServer, command: str, reply: str, error: type[Exception]
) -> None:
    mail_server.replies[command] = reply
    settings = EmailSettings(
        ("a@x.example",),
        "gauge@x.example",
        "127.0.0.1",
        mail_server.port,
        "none",
        "gauge",
        password_env="PASSWORD",  # noqa: S106
    )
    with pytest.raises(error) as caught:
        await make(email=settings).send(notification(FIRING))
    assert reply[:3] in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_mail_server_that_is_not_there_is_tried_again(make: Make, mail_server: PlayedMailServer) -> None:
    mail_server.close()
    settings = EmailSettings(("a@x.example",), "gauge@x.example", "127.0.0.1", mail_server.port, "none")
    with pytest.raises(TryAgain):
        await make(email=settings).send(notification(FIRING))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_again(make: Make, webhook: Played, status: int) -> None:
    webhook.answers.append(Answer(status, "busy"))
    with pytest.raises(TryAgain, match=f"{status} busy") as caught:
        await make(webhook=WebhookSettings(webhook.url)).send(notification(FIRING))
    assert caught.value.after_s is None


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410])
async def test_what_will_not_pass_is_refused(make: Make, webhook: Played, status: int) -> None:
    webhook.answers.append(Answer(status, "no_service", {"Location": webhook.url}))
    with pytest.raises(Refused, match=f"{status} no_service"):
        await make(webhook=WebhookSettings(webhook.url)).send(notification(FIRING))
    assert webhook.received == []


@pytest.mark.parametrize(
    ("text", "after_s"),
    [("7", 7.0), ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0), ("Thu, 01 Jan 2020 00:00:00 GMT", 0.0), ("soon", None)],
)
async def test_retry_after_is_seconds_or_a_date(make: Make, webhook: Played, text: str, after_s: float | None) -> None:
    webhook.answers.append(Answer(429, headers={"Retry-After": text}))
    with pytest.raises(TryAgain) as caught:
        await make(webhook=WebhookSettings(webhook.url)).send(notification(FIRING))
    assert caught.value.after_s == after_s


async def test_a_receiver_that_does_not_answer_or_is_not_there_is_tried_again(make: Make, webhook: Played) -> None:
    receiver = make(webhook=WebhookSettings(webhook.url))
    webhook.stall.set()
    with pytest.raises(TryAgain, match=r"0\.5 s"):
        await receiver.send(notification(FIRING))
    webhook.close()
    with pytest.raises(TryAgain):
        await receiver.send(notification(FIRING))


async def test_no_secret_is_in_what_is_told_of_a_failure(make: Make, webhook: Played) -> None:
    hook = f"{webhook.url}/services/s3cret-path"
    receiver = make(hook, webhook=WebhookSettings(webhook_url_env="HOOK", bearer_token_env="TOKEN"))  # noqa: S106
    webhook.answers.append(Answer(403, f"{hook} with s3cret-token is not known"))
    with pytest.raises(Refused) as caught:
        await receiver.send(notification(FIRING))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(vars(receiver))


@pytest.mark.parametrize(
    "kind",
    [
        {"slack": SlackSettings(webhook_url_env="NOT_SET")},
        {"pagerduty": PagerDutySettings(routing_key_env="NOT_SET")},
        {"webhook": WebhookSettings("http://x", bearer_token_env="NOT_SET")},  # noqa: S106
        {"email": EmailSettings(("a@b",), "c@d", "host", username="u", password_env="NOT_SET")},  # noqa: S106
    ],
)
def test_a_variable_that_is_not_set_is_named(make: Make, kind: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"'oncall' needs the environment variable NOT_SET, which is not set"):
        make(**kind)


def test_a_secret_may_be_in_a_file(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(ConfigError, match="can't be read"):
        make(pagerduty=PagerDutySettings(routing_key_file=str(file)))
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="empty"):
        make(pagerduty=PagerDutySettings(routing_key_file=str(file)))
    file.write_text("s3cret\n", encoding="utf-8")
    assert make(pagerduty=PagerDutySettings(routing_key_file=str(file))).name == "oncall"


def test_what_is_shown_of_an_address_is_no_secret() -> None:
    def shown(**kind: Any) -> str:
        return address_of(ReceiverSettings("oncall", **kind))

    assert shown(slack=SlackSettings(url="https://hooks.example/services/s3cret")) == "https://hooks.example"
    assert shown(slack=SlackSettings(webhook_url_env="HOOK")) == "$HOOK"
    assert shown(webhook=WebhookSettings("http://u:p@h:99/x")) == "http://h:99"
    assert shown(pagerduty=PagerDutySettings("KEY")) == "https://events.pagerduty.com"
    assert shown(email=EmailSettings(("a@b",), "c@d", "h")) == "a@b by h:587"
    assert "s3cret" not in repr(SlackSettings(url="https://hooks.example/services/s3cret"))
