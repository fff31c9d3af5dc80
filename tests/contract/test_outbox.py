"""What the outbox promises, of SQLite and of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification, group_key
from streamgauge.alert.notify.grouping import Group, Member, Said
from streamgauge.alert.notify.outbox import Message, Outbox, Put
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.state.database import StateDatabase

SAID = Said(5, frozenset({"a"}), frozenset())


@pytest.fixture
def database(state_url: str) -> Iterator[StateDatabase]:
    database = StateDatabase(state_url, [NOTIFY_TABLES])
    yield database
    database.close()


@pytest.fixture
def outbox(database: StateDatabase) -> Outbox:
    return Outbox(database, 3)


def message(group: str, made_at_ms: int, *, receiver: str = "oncall", resolved: bool = False) -> Message:
    alert = Alert({"alertname": group}, {}, 1.5, 0, made_at_ms if resolved else None, "", ((1, 2.0),))
    labels = {"alertname": group}
    made = Notification(
        receiver,
        group_key(receiver, labels),
        labels,
        () if resolved else (alert,),
        (alert,) if resolved else (),
        made_at_ms,
    )
    return Message(made, SAID)


async def test_what_was_put_in_is_there_after_a_restart_as_it_was(outbox: Outbox, state_url: str) -> None:
    put = message("Drop", 10)
    await outbox.put([], [], [put])
    again = StateDatabase(state_url, [NOTIFY_TABLES])
    waiting = await Outbox(again, 3).next("oncall", 10)
    assert waiting is not None
    assert (waiting.notification, waiting.said_before, waiting.tries) == (put.notification, SAID, 0)
    assert await outbox.next("another", 10) is None
    again.close()


async def test_groups_are_kept_changed_and_forgotten(outbox: Outbox) -> None:
    alert = Alert({"alertname": "Drop"}, {"summary": "s"}, 1.0, 0, None, "", ((1, 2.0),))
    one = Group("a", "oncall", {}, 5, {"x": Member(alert, 7)}, SAID)
    other = Group("b", "oncall", {}, 6)
    await outbox.put([one, other], [], [])
    assert await outbox.groups() == {"a": one, "b": other}
    changed = Group("a", "oncall", {}, 9)
    await outbox.put([changed], ["b"], [])
    assert await outbox.groups() == {"a": changed}


async def test_messages_and_groups_are_put_in_together_or_not_at_all(outbox: Outbox) -> None:
    too_much = Group("a", "oncall", {}, 5, {"x": Member(object())})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await outbox.put([too_much], [], [message("Drop", 10)])
    assert await outbox.next("oncall", 10) is None


async def test_a_sent_one_is_not_sent_again_and_is_in_the_log(outbox: Outbox) -> None:
    await outbox.put([], [], [message("Drop", 10), message("Rise", 11)])
    first = await outbox.next("oncall", 20)
    assert first is not None
    await outbox.ended(first.id, "sent", 21, tries=1, answer="202 ok")
    second = await outbox.next("oncall", 22)
    assert second is not None
    assert second.notification.group_labels == {"alertname": "Rise"}
    rise, drop = await outbox.log(limit=10)
    assert (rise.outcome, drop.outcome, drop.answer, drop.ended_at_ms, drop.tries) == (
        "waiting",
        "sent",
        "202 ok",
        21,
        1,
    )
    assert (drop.status, drop.alerts_firing, drop.alerts_resolved) == ("firing", 1, 0)
    assert [one.id for one in await outbox.log(limit=10, before_id=rise.id)] == [drop.id]
    assert [one.id for one in await outbox.log(limit=10, outcome="sent")] == [drop.id]
    assert await outbox.log(limit=10, receiver="another") == []
    assert (await outbox.latest())["oncall"].id == drop.id


async def test_one_that_failed_waits_for_its_time_and_others_go_before_it(outbox: Outbox) -> None:
    await outbox.put([], [], [message("Drop", 10), message("Rise", 11)])
    first = await outbox.next("oncall", 11)
    assert first is not None
    await outbox.again(first.id, 1_000, tries=1, answer="503")
    second = await outbox.next("oncall", 12)
    assert second is not None
    assert second.notification.group_labels == {"alertname": "Rise"}
    await outbox.ended(second.id, "sent", 13, tries=1, answer="")
    assert await outbox.next("oncall", 999) is None
    assert await outbox.next_try_ms("oncall") == 1_000
    third = await outbox.next("oncall", 1_000)
    assert third is not None
    assert (third.id, third.tries) == (first.id, 1)


async def test_a_recovery_never_goes_before_the_firing_of_its_group(outbox: Outbox) -> None:
    await outbox.put([], [], [message("Drop", 10)])
    await outbox.put([], [], [message("Drop", 11, resolved=True)])
    firing = await outbox.next("oncall", 11)
    assert firing is not None
    await outbox.again(firing.id, 1_000, tries=1, answer="503")
    assert await outbox.next("oncall", 999) is None
    await outbox.ended(firing.id, "sent", 1_000, tries=2, answer="")
    resolved = await outbox.next("oncall", 1_000)
    assert resolved is not None
    assert resolved.notification.status == "resolved"


async def test_a_newer_one_takes_the_place_of_one_that_waits(outbox: Outbox) -> None:
    await outbox.put([], [], [message("Drop", 10), message("Drop", 10, receiver="slack")])
    assert await outbox.put([], [], [message("Drop", 20)]) == Put({"oncall": 1}, {})
    waiting = await outbox.next("oncall", 20)
    assert waiting is not None
    assert waiting.notification.made_at_ms == 20
    outcomes = {(one.receiver, one.made_at_ms): one.outcome for one in await outbox.log(limit=10)}
    assert outcomes == {("oncall", 10): "superseded", ("oncall", 20): "waiting", ("slack", 10): "waiting"}


async def test_over_the_limit_the_oldest_are_dropped_with_a_reason(outbox: Outbox) -> None:
    done = await outbox.put([], [], [message(f"A{n}", n) for n in range(5)])
    assert done == Put({}, {"oncall": 2})
    dropped = await outbox.log(limit=10, outcome="dropped")
    assert [one.made_at_ms for one in dropped] == [1, 0]
    assert "more than 3" in dropped[0].answer
    assert (await outbox.backlogs())["oncall"].waiting == 3


async def test_the_backlog_says_how_many_wait_and_since_when(outbox: Outbox) -> None:
    await outbox.put([], [], [message("A", 10), message("B", 20), message("A", 30, receiver="slack")])
    backlogs = await outbox.backlogs()
    assert {name: (one.waiting, one.oldest_at_ms) for name, one in backlogs.items()} == {
        "oncall": (2, 10),
        "slack": (1, 30),
    }


async def test_what_waits_for_a_receiver_that_is_gone_is_dropped(outbox: Outbox) -> None:
    await outbox.put([], [], [message("A", 10), message("A", 10, receiver="slack")])
    await outbox.keep_only({"slack"}, 20)
    assert {one.receiver: one.outcome for one in await outbox.log(limit=10)} == {
        "oncall": "dropped",
        "slack": "waiting",
    }
    await outbox.keep_only([], 20)
    assert await outbox.backlogs() == {}


async def test_the_log_is_forgotten_after_a_while_and_what_waits_never(outbox: Outbox) -> None:
    await outbox.put([], [], [message("A", 10), message("B", 11)])
    one = await outbox.next("oncall", 11)
    assert one is not None
    await outbox.ended(one.id, "sent", 100, tries=1, answer="")
    await outbox.forget(100)
    assert len(await outbox.log(limit=10)) == 2
    await outbox.forget(101)
    assert [left.outcome for left in await outbox.log(limit=10)] == ["waiting"]
