"""Secrets in a text: masked in all their forms, in one pass over what is shown, and remembered in a bounded number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.masking import KnownSecrets, SecretMask, mask_spans
from monitor.model.secret import Secret

PASSWORD = Secret("correct horse")


def masked(text: str, *secrets: str, length: int = 200) -> str:
    return SecretMask(map(Secret, secrets)).clip(text, length)


def test_a_secret_is_masked_wherever_it_is() -> None:
    assert masked("abcd, again abcd, and abc", "abcd") == "<secret>, again <secret>, and abc"


def test_a_mask_is_never_masked_itself() -> None:
    assert masked("abcd and secret", "abcd", "secret", "<secret>") == "<secret> and <secret>"


def test_many_secrets_of_one_text_mask_it_once() -> None:
    assert SecretMask(Secret("eeee") for _ in range(26)).clip("eeee" * 3, 200) == "<secret>" * 3


@pytest.mark.parametrize("short", ["", "e", "ee", "eee"])
def test_a_secret_shorter_than_four_characters_is_not_masked(short: str) -> None:
    assert masked("three trees, eee", short) == "three trees, eee"


def test_of_two_secrets_with_one_beginning_the_longer_is_masked() -> None:
    assert masked("it is abcdefgh", "abcd", "abcdefgh", "abcdef") == "it is <secret>"


def test_a_secret_that_the_end_would_cut_is_masked() -> None:
    assert masked("x" * 198 + "abcdef", "abcdef") == "x" * 198 + "<s"
    assert masked("x" * 199 + "abcdef", "abcdef") == "x" * 199 + "<"


def test_a_secret_is_masked_after_long_ones_that_take_no_place_of_the_result() -> None:
    long = "y" * 1000
    text = " ".join([long] * 20) + " abcdef" * 10
    assert masked(text, long, "abcdef") == (" ".join(["<secret>"] * 20) + " <secret>" * 10)[:200]


def test_only_what_is_shown_is_looked_at() -> None:
    assert SecretMask([PASSWORD]).reach(200) < 1000
    assert masked("x" * 10_000_000, "abcd") == "x" * 200


def test_parts_that_overlap_are_masked_together() -> None:
    assert mask_spans("0123456789", [(1, 4), (2, 6), (6, 7), (8, 9)]) == "0<secret><secret>7<secret>9"


@pytest.mark.parametrize("written", ['p@ss w"rd&1', "p%40ss+w%22rd%261", "p%40ss%20w%22rd%261", 'p@ss w\\"rd&1'])
def test_a_secret_is_masked_in_every_encoding(written: str) -> None:
    assert masked(f"you sent {written}", 'p@ss w"rd&1') == "you sent <secret>"


def test_a_secret_may_be_no_unicode() -> None:
    assert masked("you sent \udcff\udcff\udcff\udcff", "\udcff" * 4) == "you sent <secret>"


@given(
    text=st.text(alphabet="abe<>secrt", max_size=80),
    secrets=st.lists(st.text(alphabet="abe<>secrt", min_size=4, max_size=8), max_size=30),
    length=st.integers(0, 40),
)
def test_a_result_is_never_more_than_twice_the_text_and_shows_no_secret(
    text: str, secrets: list[str], length: int
) -> None:
    whole = masked(text, *secrets, length=1000)
    assert len(whole) <= 2 * len(text)
    assert masked(text, *secrets, length=length) == whole[:length]
    assert not any(secret in whole.replace("<secret>", "\0") for secret in secrets)


def test_the_secrets_of_ended_sessions_are_known() -> None:
    known = KnownSecrets()
    for text in ("first-token", "second-token", "first-token"):
        known.add(Secret(text))
        assert known.mask.clip(f"you sent {text}", 200) == "you sent <secret>"
    assert known.mask.clip("first-token second-token", 200) == "<secret> <secret>"


def test_a_mask_is_made_again_only_for_a_new_secret() -> None:
    known = KnownSecrets()
    known.add(PASSWORD)
    mask = known.mask
    known.add(Secret("correct horse"))
    assert known.mask is mask


def test_the_number_of_known_secrets_is_bounded_and_the_last_used_are_kept() -> None:
    known = KnownSecrets()
    for number in range(1000):
        known.add(PASSWORD)
        known.add(Secret(f"token-{number}"))
    assert known.mask.clip("correct horse token-999 token-900 token-0", 200) == ("<secret> <secret> <secret> token-0")


def test_cookies_of_a_proxy_do_not_make_it_forget_those_of_the_session() -> None:
    known = KnownSecrets()
    known.add(PASSWORD)
    for number in range(1000):
        known.add(Secret(f"waf-{number}"), "other")
    assert known.mask.clip("correct horse waf-999 waf-0", 200) == "<secret> <secret> waf-0"
