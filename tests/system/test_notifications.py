"""Silences, receivers and notifications of a running server, as its users see them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from played import Answer, Played
from running import RunningSystem

SECRET = "s3cret-path"  # noqa: S105


def config_of(slack: Played) -> str:
    return f"""
        [[receivers]]
        name = "chat"
        match = {{severity = "page"}}
        slack = {{webhook_url_env = "SLACK_WEBHOOK_URL"}}

        [[maintenance]]
        name = "night"
        matchers = ["team=shop"]
        from = "00:00"
        to = "24:00"

        [[receivers]]
        name = "proxy"
        slack = {{url = "{slack.url}/x"}}
    """


@pytest.fixture
def system(tmp_path: Path, slack: Played, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSystem]:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{slack.url}/{SECRET}")
    with RunningSystem(tmp_path / "data", config=config_of(slack)) as system:
        yield system


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamgauge", "alert", "test", *arguments], capture_output=True, text=True, check=False
    )


def test_a_user_tries_receivers_and_silences_alerts_over_restarts(
    system: RunningSystem, slack: Played, tmp_path: Path
) -> None:
    chat, proxy = system.get("/receivers").json()["receivers"]
    assert (chat["kind"], chat["address"], chat["matchers"]) == ("slack", "$SLACK_WEBHOOK_URL", ['severity="page"'])
    assert (proxy["address"], proxy["waiting"], proxy["last"]) == (slack.url, 0, None)

    answer = system.post("/receivers/chat/test")
    assert answer.json() == {"receiver": "chat", "status": "sent", "answer": "200 ok"}
    assert slack.received[0].path == f"/{SECRET}"
    done = command("chat", "--url", system.url())
    assert (done.returncode, "chat took it" in done.stdout) == (0, True)
    done = command("proxy", "--config", str(tmp_path / "data.toml"))
    assert (done.returncode, len(slack.received)) == (0, 3)

    slack.answers.append(Answer(404, f"no_service {slack.url}/{SECRET}"))
    refused = system.post("/receivers/chat/test")
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "receiver_failed")
    slack.answers.append(Answer(404, "no_service"))
    done = command("chat", "--url", system.url())
    assert (done.returncode, "404 no_service" in done.stderr) == (1, True)
    done = command("nobody", "--url", system.url())
    assert (done.returncode, "there are: chat, proxy" in done.stderr) == (1, True)
    assert system.post("/receivers/nobody/test").status_code == 404

    wish = {"matchers": ["alertname=Drop", 'country=~"U.*"'], "duration": "2h", "author": "Ann", "comment": "known"}
    made = system.post("/silences", json=wish)
    assert made.status_code == 201, made.text
    longer = system.post("/silences", json={**wish, "duration": "3h", "id": made.json()["id"]}).json()
    assert longer["ends_at"] > made.json()["ends_at"]
    assert system.stop() == 0
    system.start()
    found = system.get("/silences").json()
    assert [one["id"] for one in found["silences"]] == [longer["id"]]
    assert found["silences"][0]["matchers"] == ['alertname="Drop"', 'country=~"U.*"']
    assert found["maintenance"][0] | {"is_open": True} == found["maintenance"][0]
    ended = system.client.delete(f"/silences/{longer['id']}")
    assert (ended.status_code, ended.json()["state"]) == (200, "expired")
    assert system.client.delete("/silences/none").status_code == 404

    assert system.get("/notifications").json() == {"notifications": [], "after": None}
    texts = [system.output, system.get("/openapi.json").text, system.get("/-/metrics").text, refused.text]
    assert not any(SECRET in text for text in texts)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[", "malformed_body"),
        ({"matchers": ["a=b"], "author": "A", "comment": "c"}, "malformed_body"),
        ({"matchers": ["a=b"], "author": "A", "comment": "c", "duration": "1h", "until": "x"}, "malformed_body"),
        ({"matchers": ["a~b"], "author": "A", "comment": "c", "duration": "1h"}, "invalid_matcher"),
        ({"matchers": ['a=~"("'], "author": "A", "comment": "c", "duration": "1h"}, "invalid_matcher"),
        ({"matchers": [], "author": "A", "comment": "c", "duration": "1h"}, "invalid_matcher"),
        ({"matchers": ["a=b"], "author": "A", "comment": "c", "duration": "soon"}, "invalid_range"),
        ({"matchers": ["a=b"], "author": "A", "comment": "c", "ends_at": "2020-01-01T00:00:00Z"}, "invalid_range"),
    ],
)
def test_what_is_no_silence_is_refused(running_system: RunningSystem, body: object, code: str) -> None:
    options = {"content": body} if isinstance(body, str) else {"json": body}
    answer = running_system.post("/silences", headers={"Content-Type": "application/json"}, **options)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_request"),
        ("after=x", "invalid_request"),
        ("outcome=lost", "invalid_request"),
        ("state=sent", "unknown_parameter"),
    ],
)
def test_a_question_about_notifications_that_can_not_be_answered_says_why(
    running_system: RunningSystem, query: str, code: str
) -> None:
    answer = running_system.get(f"/notifications?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_missing_variable_is_named_and_nothing_starts(tmp_path: Path, slack: Played) -> None:
    system = RunningSystem(tmp_path / "data", config=config_of(slack))
    system.spawn()
    assert system.wait(60) == 1
    assert "needs the environment variable SLACK_WEBHOOK_URL, which is not set" in system.output
