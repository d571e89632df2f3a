"""What the service manager sets in the environment, and what of it is meant for another process."""

from collections.abc import Mapping

import pytest

from monitor.daemon.systemd import ServiceManager, read_service_manager


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, ServiceManager(), id="no-manager"),
        pytest.param({"NOTIFY_SOCKET": "/run/n"}, ServiceManager(notify="/run/n"), id="path"),
        pytest.param({"NOTIFY_SOCKET": "@name/1"}, ServiceManager(notify="\0name/1"), id="abstract"),
        pytest.param({"NOTIFY_SOCKET": "vsock:2:9"}, ServiceManager(), id="of-a-virtual-machine"),
        pytest.param({"NOTIFY_SOCKET": "relative"}, ServiceManager(), id="no-address"),
        pytest.param({"WATCHDOG_USEC": "30000000"}, ServiceManager(watchdog_s=30.0), id="watchdog"),
        pytest.param(
            {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "7"}, ServiceManager(watchdog_s=5e-6), id="watchdog-of-ours"
        ),
        pytest.param({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "8"}, ServiceManager(), id="watchdog-of-another"),
        pytest.param({"WATCHDOG_USEC": "soon"}, ServiceManager(), id="watchdog-no-number"),
        pytest.param({"WATCHDOG_USEC": "0"}, ServiceManager(), id="watchdog-off"),
        pytest.param({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, ServiceManager(sockets=1), id="socket"),
        pytest.param({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, ServiceManager(), id="socket-of-another"),
        pytest.param({"LISTEN_FDS": "1"}, ServiceManager(), id="socket-without-process"),
        pytest.param({"LISTEN_FDS": "-1", "LISTEN_PID": "7"}, ServiceManager(), id="fewer-than-none"),
        pytest.param({"LISTEN_FDS": "²", "LISTEN_PID": "7"}, ServiceManager(), id="socket-no-number"),
        pytest.param({"LISTEN_FDS": "9" * 5000, "LISTEN_PID": "7"}, ServiceManager(), id="more-than-any-number"),
    ],
)
def test_only_variables_for_our_process_are_read(environ: Mapping[str, str], expected: ServiceManager) -> None:
    assert read_service_manager(environ, pid=7) == expected
