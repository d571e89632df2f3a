"""
What all tests share: databases, options, the order of the modules, what is measured, and that CI allows no skip.

A test that needs a missing program or server is skipped on a developer's machine. With ``CI=true`` the skip is a
failure, because a skipped test proves nothing.
"""

import os
import signal
import sys
import threading
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.support.postgres import database_url, postgres_server, postgres_url

__all__ = ["database_url", "postgres_server", "postgres_url"]  # fixtures, for every test

# A busy machine draws and runs an example slowly, and that is no failure. Every run draws the same examples, so that
# a failure can be repeated. Tests that need fewer or more examples derive their settings from these.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=False,
)
settings.load_profile("project")

# The commands that the tests start inherit which signals are ignored: SIGHUP under nohup and in many CI systems, and
# SIGINT in a job that a shell script runs in the background.
for _number, _handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

_COVERAGE = "COVERAGE_PROCESS_CONFIG"  # with it, a program of Python that starts measures itself

_DEAR = (
    "access", "audit_log", "cli", "database_cut_off", "fips", "health", "logs", "one_writer", "patching", "platforms",
    "reload", "reload_access", "store_failures", "supervised", "units", "upgrade_blocked", "upgrade_exposition",
    "upgrade_judges", "upgrade_operations", "upgrade_read_failures", "upgrade_reads", "upgrade_return",
    "upgrade_script", "upgrade_summary", "upgrade_waits", "upload_history", "watch",
)  # fmt: skip
_MEASURED_BY_OTHERS = ("tests/checks/", "tests/e2e/", *(f"tests/integration/test_{name}.py" for name in _DEAR))
"""Cheaper tests run nearly all of the code that these run; see `pytest_runtest_protocol`."""
_HAVE_EXAMPLES = ("tests/unit/metrics/", "tests/unit/polling/")  # which run every branch without the properties

_SLOWEST_FIRST = (
    "tests/integration/test_openapi.py",
    "tests/integration/test_cli.py",
    "tests/checks/test_rules.py",
    "tests/e2e/test_page.py",
    "tests/integration/test_audit_verify.py",
    "tests/e2e/test_dashboards.py",
    "tests/e2e/test_page_connection.py",
    "tests/integration/test_benchmarks.py",
    "tests/integration/test_kills.py",
    "tests/integration/test_takeover.py",
    "tests/e2e/test_upgrade_alerts.py",
    "tests/e2e/test_page_looks.py",
    "tests/e2e/test_upgrade_prometheus.py",
    "tests/e2e/test_behind_nginx.py",
    "tests/e2e/test_page_hostile.py",
    "tests/e2e/test_page_image.py",
    "tests/integration/test_supervised.py",
    "tests/checks/test_rules_of_replicas.py",
    "tests/integration/test_reload.py",
    "tests/integration/test_faults.py",
    "tests/unit/polling/test_upgrade.py",
    "tests/integration/test_upgrade_exposition.py",
    "tests/integration/test_patching.py",
    "tests/integration/test_upgrade_summary.py",
    "tests/e2e/test_alerting.py",
    "tests/e2e/test_prometheus.py",
    "tests/integration/test_watch.py",
)
"""
The modules that take longest. ``make test`` gives whole modules to its workers: a long one that came last would keep
one worker busy while the others have nothing left to do.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this test suite."""
    parser.addoption(
        "--all-kill-points",
        action="store_true",
        help="kill the daemon at every point of a PATCH, not once in each place (tests/integration/test_kills.py); "
        "kill or stop 120 writers, not two (tests/integration/test_takeover.py)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest modules first; all else stays in its order."""
    for item in items:
        is_property = is_hypothesis_test(getattr(item, "function", None))
        if item.nodeid.startswith(_MEASURED_BY_OTHERS) or (is_property and item.nodeid.startswith(_HAVE_EXAMPLES)):
            item.add_marker("unmeasured")
    rank = {name: place for place, name in enumerate(_SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """
    Measure no coverage in a test marked ``unmeasured``, nor in its fixtures and the threads and programs they start.

    Before Python 3.14, coverage of branches makes Python need twice the time. The mark ``no_cover`` of pytest-cov does
    less: in a worker of pytest-xdist the coverage that each program begins with goes on.
    """
    if not item.get_closest_marker("unmeasured"):
        return (yield)
    inherited = os.environ.pop(_COVERAGE, None)
    trace, trace_of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(trace_of_threads)
        sys.settrace(trace)
        if inherited is not None:
            os.environ[_COVERAGE] = inherited


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a skip as a failure that says what was missing, in CI."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        assert call.excinfo is not None
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {call.excinfo.value}"
    return report
