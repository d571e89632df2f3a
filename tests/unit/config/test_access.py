"""Scopes and what they include, and the problems between tokens, users and controllers."""

from pathlib import Path
from typing import get_args

import pytest
from msgspec import UNSET

from monitor.config.access import (
    AnonymousScope,
    Scope,
    Token,
    TokenSettings,
    User,
    UserSettings,
    closure,
    digest_of,
    token_of,
    user_of,
)
from monitor.config.checks import repeated_values, unknown_controllers, users_without_password
from monitor.config.web_config import WebConfig
from monitor.model.secret import Secret

ALICE = TokenSettings(name="alice", digest=b"a" * 32, scopes=frozenset({"annotate"}))
BOB = UserSettings(name="bob", scopes=frozenset({"read"}), controllers=frozenset({"dc1"}))


@pytest.mark.parametrize(
    ("scope", "includes"),
    [
        ("metrics", {"metrics"}),
        ("read", {"read"}),
        ("annotate", {"annotate", "read"}),
        ("adjust", {"adjust", "annotate", "read"}),
        ("admin", set(get_args(Scope))),
    ],
)
def test_a_scope_includes(scope: Scope, includes: set[str]) -> None:
    assert closure([scope]) == includes


def test_scopes_add_up_and_none_is_none() -> None:
    assert closure(["metrics", "annotate"]) == {"metrics", "annotate", "read"}
    assert closure([]) == frozenset()


def test_anonymous_scopes_include_no_change() -> None:
    assert closure(get_args(AnonymousScope)) == {"metrics", "read"}


def test_the_digest_of_a_token_is_the_sha_256_of_its_text() -> None:
    assert digest_of("aum_é").hex() == "198f030566b8e25411e8a2f8e09c25cb20affa176f5263e50022cf72fef73116"


def test_an_unlimited_one_is_for_all_controllers() -> None:
    assert token_of(ALICE) == Token(name="alice", digest=b"a" * 32, scopes=frozenset({"annotate"}), controllers=None)
    assert user_of(BOB) == User(name="bob", scopes=frozenset({"read"}), controllers=frozenset({"dc1"}))


def test_every_repeated_value_is_a_problem_that_does_not_show_it() -> None:
    other = TokenSettings(name="alice", digest=b"b" * 32, scopes=frozenset())
    assert list(repeated_values("tokens", [ALICE, other, ALICE, ALICE], "sha256")) == [
        "tokens[2].sha256: found the value of tokens[0] again, expected another one",
        "tokens[3].sha256: found the value of tokens[0] again, expected another one",
    ]


def test_entries_with_problems_are_not_compared() -> None:
    wrong = TokenSettings(name="x", digest=UNSET, scopes=frozenset())  # type: ignore[arg-type]
    assert list(repeated_values("tokens", [wrong, wrong, UNSET, UNSET], "sha256")) == []  # type: ignore[list-item]


def test_unknown_controllers_are_problems() -> None:
    assert list(unknown_controllers("users", [BOB], {"dc1"})) == []
    assert list(unknown_controllers("users", [BOB, ALICE], {"dc2"})) == [
        'users[0].controllers: found "dc1", expected the name of a configured controller'
    ]


def test_users_without_a_password_are_problems() -> None:
    web = WebConfig(path=Path("/etc/web.yml"), users={"bob": Secret("hash")})
    eve = UserSettings(name="eve", scopes=frozenset({"read"}))
    assert list(users_without_password([BOB, eve, UNSET], web)) == [  # type: ignore[list-item]
        'users[1].name: found "eve", expected a user of /etc/web.yml'
    ]
    assert list(users_without_password([BOB], None)) == [
        'users[0].name: found "bob", expected no users without a web configuration'
    ]
