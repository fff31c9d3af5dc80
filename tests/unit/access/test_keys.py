"""Keys as texts: secrets, names, origins."""

from __future__ import annotations

import pytest

from streamgauge.access.keys import (
    SCOPES,
    Key,
    checked_name,
    checked_origin,
    hash_of,
    new_secret,
    selector_of,
    verifier_of,
)
from streamgauge.core.errors import InvalidRequest


def test_a_secret_says_what_it_is_and_nothing_else() -> None:
    secrets = {new_secret(scope) for scope in SCOPES for _ in range(100)}
    assert len(secrets) == 300
    assert {secret[:4] for secret in secrets} == {"sgw_", "sgr_", "sga_"}
    assert all(len(secret) >= 4 + 43 and ":" not in secret for secret in secrets)  # Basic ends the user at a colon


def test_selector_and_verifier_are_the_whole_hash() -> None:
    hashed = hash_of("sgw_x")
    assert selector_of(hashed) + verifier_of(hashed) == hashed
    assert len(verifier_of(hashed)) * 4 == 128


@pytest.mark.parametrize(
    ("scope", "may"), [("write", {"write"}), ("read", {"read"}), ("admin", {"write", "read", "admin"})]
)
def test_a_scope_grants_what_it_says(scope: str, may: set[str]) -> None:
    key = Key("1", "k", scope, (), 0, "abcd", 0)  # type: ignore[arg-type]
    assert {each for each in SCOPES if key.may(each)} == may


@pytest.mark.parametrize("name", ["a", "shop", "Shop-1.web_EU", "0" * 64])
def test_names_that_are_names(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "a b", "a\tb", "a\n", ".a", "ä", "a" * 65, "a/b", "(other)"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked_name(name)
    assert caught.value.code == "invalid_key"


@pytest.mark.parametrize("origin", ["*", "https://shop.example", "http://localhost:*", "https://*.shop.example"])
def test_origins_that_are_origins(origin: str) -> None:
    assert checked_origin(origin) == origin


@pytest.mark.parametrize("origin", ["", "shop.example", "https://", "https://a/b", "https://u@a", "https://*", "null"])
def test_origins_that_are_none(origin: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_origin(origin)
