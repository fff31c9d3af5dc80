from __future__ import annotations

import msgspec
import polars as pl

from streamgauge.profiles.table import ProfileTable
from streamgauge.stream.enrich import ENRICHED, EnrichFromProfiles
from unit.stream.making import SPEC, decoded, event

COLUMNS = ("user_country", "plan")
ENRICHING = msgspec.structs.replace(SPEC, profile_columns=COLUMNS)


def profiles(**plans: tuple[str | None, str | None]) -> ProfileTable:
    table = ProfileTable(COLUMNS)
    rows = [(user, *values) for user, values in plans.items()]
    table.upsert(pl.DataFrame(rows, schema=dict.fromkeys(("user_id", *COLUMNS), pl.String()), orient="row"))
    return table


def test_an_event_has_what_the_profile_of_its_user_says() -> None:
    step = EnrichFromProfiles(profiles(u=("DE", "pro"), v=("FR", None)))
    events = decoded(event(user_id="u"), event(user_id="v"), event(user_id="w"), event(), fields=COLUMNS)
    after = step.apply(events, ENRICHING).events
    assert after["p:user_country"].to_list() == ["DE", "FR", None, None]
    assert after["p:plan"].to_list() == ["pro", None, None, None]
    assert [msgspec.json.decode(text or "{}") for text in after[ENRICHED]] == [
        {"user_country": "DE", "plan": "pro"},
        {"user_country": "FR"},
        {},
        {},
    ]


def test_what_the_event_itself_says_goes_before_its_profile() -> None:
    step = EnrichFromProfiles(profiles(u=("DE", "pro")))
    after = step.apply(decoded(event(user_id="u", plan="free"), fields=COLUMNS), ENRICHING).events
    assert after["p:plan"].to_list() == ["free"]
    assert after["p:user_country"].to_list() == ["DE"]
    assert msgspec.json.decode(after[ENRICHED].item()) == {"user_country": "DE"}


def test_an_anonymous_id_is_not_looked_up() -> None:
    step = EnrichFromProfiles(profiles(u=("DE", "pro")))
    assert step.apply(decoded(event(anonymous_id="u"), fields=COLUMNS), ENRICHING).events["p:plan"].to_list() == [None]


def test_a_profile_that_changes_applies_to_later_events() -> None:
    table = profiles(u=("DE", "free"))
    step = EnrichFromProfiles(table)
    batch = decoded(event(user_id="u"), fields=COLUMNS)
    before = step.apply(batch, ENRICHING).events["p:plan"].item()
    table.upsert(pl.DataFrame({"user_id": ["u"], "user_country": ["DE"], "plan": ["pro"]}))
    assert (before, step.apply(batch, ENRICHING).events["p:plan"].item()) == ("free", "pro")


def test_without_profiles_or_columns_a_batch_is_left_alone() -> None:
    batch = decoded(event(user_id="u"), fields=COLUMNS)
    assert EnrichFromProfiles(profiles()).apply(batch, ENRICHING) is batch
    assert EnrichFromProfiles(profiles(u=("DE", "pro"))).apply(batch, SPEC) is batch
