"""When a refused password is tried again: once while the Controllers are upgraded, else never."""

from pathlib import Path

import pytest

from monitor.avi.login_password import RETRY_AFTER_S, LoginPassword, UpgradeWindow
from monitor.config.types import SecretFile
from monitor.model.errors import LoginRefused, PollError, Unavailable

DAY_S, WINDOW_S = 86_400.0, 900.0
REFUSED = LoginRefused("auth", "401 Invalid credentials", phase="login")


class Account:
    """One account on a Controller that is upgraded now and then, and the hand of a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.file = folder / "password"
        self.file.write_text("right\n")
        self.window = UpgradeWindow()
        self.password = self.client()

    def client(self) -> LoginPassword:
        return LoginPassword(SecretFile(self.file), self.window, monotonic=lambda: self.now)

    def log_in(self) -> str:
        """One log-in that the Controller accepts; return the password that was sent."""
        sent = self.password.read().reveal()
        self.password.accepted()
        return sent

    def fail(self) -> PollError:
        """One log-in that the Controller refuses; return the error. Raises what forbids to send it."""
        self.password.read()
        return self.password.refused(REFUSED)

    def blocked(self) -> PollError:
        """The error that comes in place of a log-in."""
        with pytest.raises(PollError) as caught:
            self.password.read()
        return caught.value


@pytest.fixture
def fresh(tmp_path: Path) -> Account:
    """An account that did not log in yet."""
    return Account(tmp_path)


@pytest.fixture
def account(fresh: Account) -> Account:
    """An account that logged in once; an upgrade is under way since."""
    assert fresh.log_in() == "right"
    fresh.password.note_upgrade()
    return fresh


def test_one_refusal_during_an_upgrade_is_the_upgrade_and_nothing_is_sent_for_two_minutes(account: Account) -> None:
    error = account.fail()
    assert (type(error), error.reason, error.phase, error.retry_after_s) == (Unavailable, "upgrading", "login", 120.0)
    assert error.detail == "401 Invalid credentials; it is tried once more in 120 s"
    account.now += RETRY_AFTER_S - 1.0
    waiting = account.blocked()
    assert (type(waiting), waiting.reason, waiting.retry_after_s) == (Unavailable, "upgrading", 1.0)
    account.now += 1.0
    assert account.log_in() == "right"


def test_a_second_refusal_in_a_row_is_the_last_one(account: Account) -> None:
    account.fail()
    account.now += RETRY_AFTER_S
    assert account.fail() is REFUSED
    for _ in range(3):
        account.now += RETRY_AFTER_S
        account.password.note_upgrade()
        assert isinstance(account.blocked(), LoginRefused)


def test_a_log_in_that_is_accepted_again_may_be_refused_once_more(account: Account) -> None:
    account.fail()
    account.now += RETRY_AFTER_S
    account.log_in()
    assert account.fail().reason == "upgrading"


def test_another_password_is_tried_at_once_and_its_first_refusal_is_the_last(account: Account) -> None:
    account.fail()
    account.file.write_text("new\n")
    assert account.password.read().reveal() == "new"
    assert account.password.refused(REFUSED) is REFUSED, "the Controller never accepted it"


def test_a_file_that_is_empty_is_being_rewritten(account: Account) -> None:
    account.file.write_text("")
    assert account.password.read().reveal() == "right"


def test_without_a_password_there_is_no_log_in(fresh: Account) -> None:
    fresh.file.unlink()
    error = fresh.blocked()
    assert isinstance(error, LoginRefused)
    assert error.detail.startswith("no password: ")


def test_without_an_upgrade_the_first_refusal_is_the_last(fresh: Account) -> None:
    fresh.log_in()
    assert fresh.fail() is REFUSED
    assert fresh.blocked().detail == "suspended: the Controller refused this password; change it"


def test_a_password_that_was_never_accepted_is_no_good_one_however_much_is_upgraded(fresh: Account) -> None:
    fresh.password.note_upgrade()
    assert fresh.fail() is REFUSED


@pytest.mark.parametrize(("after_s", "excused"), [(WINDOW_S, True), (WINDOW_S + 1.0, False)])
def test_an_upgrade_excuses_for_a_quarter_of_an_hour_after_it_was_last_seen(
    account: Account, after_s: float, *, excused: bool
) -> None:
    account.now += after_s
    assert (account.fail().reason == "upgrading") is excused


@pytest.mark.parametrize(("after_s", "excused"), [(DAY_S, True), (DAY_S + 1.0, False)])
def test_a_password_is_known_to_be_good_for_a_day_after_it_was_last_accepted(
    account: Account, after_s: float, *, excused: bool
) -> None:
    account.now += after_s
    account.password.note_upgrade()
    assert (account.fail().reason == "upgrading") is excused


def test_a_request_that_was_accepted_in_its_session_says_that_the_password_is_good(account: Account) -> None:
    account.now += DAY_S
    account.password.used()
    account.now += DAY_S
    account.password.note_upgrade()
    assert account.fail().reason == "upgrading"


def after_reload(account: Account) -> None:
    """The settings of the controller change: another client takes over what was known."""
    before, account.password = account.password, account.client()
    account.password.inherit(before)


def test_after_a_reload_a_refusal_that_was_excused_counts_and_its_wait_goes_on(account: Account) -> None:
    account.fail()
    account.now += 20.0
    after_reload(account)
    assert account.blocked().retry_after_s == 100.0
    account.now += 100.0
    assert account.fail() is REFUSED


def test_after_a_reload_a_refused_password_stays_refused(account: Account) -> None:
    account.fail()
    account.now += RETRY_AFTER_S
    account.fail()
    after_reload(account)
    assert isinstance(account.blocked(), LoginRefused)


def test_after_a_reload_the_password_is_known_to_be_good(account: Account) -> None:
    after_reload(account)
    assert account.fail().reason == "upgrading"
