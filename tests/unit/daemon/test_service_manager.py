"""What a service manager says in the environment, and what of it is meant for somebody else."""

from collections.abc import Mapping

import pytest

from monitor.daemon.systemd import Supervisor, supervisor_of


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, Supervisor(), id="a-person"),
        pytest.param({"NOTIFY_SOCKET": "/run/n"}, Supervisor(notify="/run/n"), id="path"),
        pytest.param({"NOTIFY_SOCKET": "@name/1"}, Supervisor(notify="\0name/1"), id="abstract"),
        pytest.param({"NOTIFY_SOCKET": "vsock:2:9"}, Supervisor(), id="of-a-virtual-machine"),
        pytest.param({"NOTIFY_SOCKET": "relative"}, Supervisor(), id="no-address"),
        pytest.param({"WATCHDOG_USEC": "30000000"}, Supervisor(watchdog_s=30.0), id="watchdog"),
        pytest.param({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "7"}, Supervisor(watchdog_s=5e-6), id="watchdog-of-ours"),
        pytest.param({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "8"}, Supervisor(), id="watchdog-of-another"),
        pytest.param({"WATCHDOG_USEC": "soon"}, Supervisor(), id="watchdog-no-number"),
        pytest.param({"WATCHDOG_USEC": "0"}, Supervisor(), id="watchdog-off"),
        pytest.param({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, Supervisor(sockets=1), id="socket"),
        pytest.param({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, Supervisor(), id="socket-of-another"),
        pytest.param({"LISTEN_FDS": "1"}, Supervisor(), id="socket-of-nobody"),
        pytest.param({"LISTEN_FDS": "-1", "LISTEN_PID": "7"}, Supervisor(), id="fewer-than-none"),
        pytest.param({"LISTEN_FDS": "²", "LISTEN_PID": "7"}, Supervisor(), id="socket-no-number"),
        pytest.param({"LISTEN_FDS": "9" * 5000, "LISTEN_PID": "7"}, Supervisor(), id="more-than-any-number"),
    ],
)
def test_what_is_meant_for_us_is_read_and_nothing_else(environ: Mapping[str, str], expected: Supervisor) -> None:
    assert supervisor_of(environ, pid=7) == expected
