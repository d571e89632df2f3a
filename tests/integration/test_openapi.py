"""The running daemon does what its OpenAPI document says, whatever is sent: checked by schemathesis over a socket."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from msgspec import Struct
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, CheckContext, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi.checks import ignored_auth
from schemathesis.specs.openapi.schemas import OpenApiSchema
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.patching.body import decode_patch
from monitor.simulator import ControllerSpec, GroupSpec, Simulator, UploadSpec
from monitor.web.context import Limits
from monitor.web.openapi import document
from monitor.web.openapi_patch import PATCH_BODY, REF
from monitor.web.problems import TYPE
from monitor.web.routes import ROUTES
from tests.support.daemons import UNHURRIED, polled, watching
from tests.support.operators import ROOT, TOKENS

pytestmark = pytest.mark.unmeasured  # test_web.py and test_unit_patching.py measure what this takes minutes to trace
FLEET = (
    ControllerSpec(
        name="dc1",
        images=3,
        uploads=(UploadSpec(duration=60.0, started_ago=20.0),),
        groups=(GroupSpec(ses=1),),
    ),
    ControllerSpec(name="dc2", images=2, nodes=1),
)
BEARER = {"Authorization": f"Bearer {ROOT}"}
VERSION = CaseInsensitiveDict({"X-Avi-Version": "30.2.1"})
FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
PATCH_ROUTE = "/api/image/{uuid}"
LABELS = [
    f"{method.upper()} {path}"
    for path, methods in document(ROUTES)["paths"].items()
    if path != "/api/events"  # its response does not end; test_events.py tests it
    for method in methods
]
FORMS = [shape["$ref"].rpartition("/")[2] for shape in PATCH_BODY.schema["anyOf"]]

BEYOND_SCHEMAS = {
    "precondition-failed",  # a random tag or _last_modified is not the image's
    "controller-refused",  # the Controller accepts only references to its own images, and names that are not in use
    "two-operations",  # of a json_patch: depends on the order of the steps
    "unknown-version",  # a random version may be newer than the Controller
}
"""Why a request that is valid by the document may still be refused, with 400, 412 or 422."""


class Running(Struct, frozen=True):
    """A daemon on another thread's loop. ``uuids``: of the images that are not being processed. ``unit``: of one."""

    url: str
    uuids: tuple[str, ...]
    unit: str
    session: requests.Session


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests, in a thread: schemathesis blocks. None of its log lines may be an unexpected error."""
    ready: Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    folder = tmp_path_factory.mktemp("daemon")
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, ready)), name="daemon")
    with capture_logs() as logs:
        thread.start()
        try:
            running, loop, stop = ready.result(timeout=30.0)
            with running.session:
                yield running
            loop.call_soon_threadsafe(stop.set)
        finally:
            thread.join()
    assert not [entry for entry in logs if entry["event"].endswith("_exception")]


async def _serve(folder: Path, ready: "Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
    stop = asyncio.Event()
    try:
        limits = Limits(max_changes=1_000_000)
        async with (
            Simulator(FLEET, speed=0.0) as simulator,
            watching(simulator, folder, poll=UNHURRIED, tokens=TOKENS, limits=limits) as daemon,
        ):
            for name in simulator.controllers:
                await polled(daemon, name)
            unit = simulator.controllers["dc1"].upgrades.units.objects(simulator.clock.now())[1]["uuid"]
            running = Running(daemon.url, _idle(daemon), unit, _session())
            ready.set_result((running, asyncio.get_running_loop(), stop))
            await stop.wait()
    except BaseException as error:
        if not ready.done():  # else the traceback of the thread shows it
            ready.set_exception(error)
        raise


def _session() -> requests.Session:
    """Keeps its connection, and looks for no proxy: either would take longer than most requests."""
    session = requests.Session()
    session.trust_env = False
    return session


def _idle(daemon: Daemon) -> tuple[str, ...]:
    return tuple(track.object.uuid for _, track in daemon.fleet.shown_objects("image") if not track.object.active)


def _schema(body: Mapping[str, Any] | None = None) -> OpenApiSchema:
    """
    The document for schemathesis. ``body``: replaces the schema of the body of PATCH, where lists are short then.

    A PATCH has the same bodies by every media type; only the first is tried with all of their forms.
    """
    raw = document(ROUTES)
    del raw["paths"]["/api/events"]
    for path in (PATCH_ROUTE, "/api/upgradestatusinfo/{uuid}"):
        for content in list(raw["paths"][path]["patch"]["requestBody"]["content"].values())[1:]:
            content["schema"] = content["schema"]["anyOf"][0]
    if body:
        for content in raw["paths"][PATCH_ROUTE]["patch"]["requestBody"]["content"].values():
            content["schema"] = body
            del content["examples"]
        raw["components"]["schemas"] |= _with_short_lists(PATCH_BODY.components)
    checks = {
        "ignored_auth": {"enabled": False},  # many wrong credentials are answered 429: tested alone below
        "positive_data_acceptance": {  # `require_a_reason` checks those that are added here
            "expected-statuses": ["2xx", "304", "404", "409", "400", "412", "422"]
        },
    }
    return schemathesis.openapi.from_dict(raw, config=SchemathesisConfig.from_dict({"seed": 7, "checks": checks}))


def _with_short_lists(schema: Any) -> Any:  # noqa: ANN401  JSON
    """Long lists take most of the time to draw, and many steps are rarely one operation."""
    if isinstance(schema, list):
        return [_with_short_lists(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    shorter = {key: _with_short_lists(value) for key, value in schema.items()}
    return {"maxItems": 2, **shorter} if schema.get("type") == "array" else shorter


def require_a_reason(_ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """A request that is valid by the document is refused only for what the document cannot express."""
    if case.meta and case.meta.generation.mode.is_positive and response.status_code in {400, 412, 422}:
        kind = str(msgspec.json.decode(response.content)["type"]).removeprefix(TYPE)
        assert kind in BEYOND_SCHEMAS


def send(case: Case[Any], daemon: Running) -> Response:
    """Send it as admin, and apply every check to the response."""
    response: Response = case.call_and_validate(
        base_url=daemon.url, session=daemon.session, headers=BEARER, additional_checks=[require_a_reason]
    )
    return response


def test_the_daemon_serves_the_document(daemon: Running) -> None:
    response = requests.get(f"{daemon.url}/api/openapi.json", headers=BEARER, timeout=10.0)
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == msgspec.json.decode(msgspec.json.encode(document(ROUTES)))


@pytest.fixture(scope="module")
def schema() -> OpenApiSchema:
    """Of all routes."""
    return _schema()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("label", LABELS)
def test_every_route_does_what_the_document_says(label: str, schema: OpenApiSchema, daemon: Running) -> None:
    """
    In every phase: the examples, one case for each keyword of each schema, and random cases.

    ``schema.parametrize()`` would make all cases while tests are collected, which every worker of pytest-xdist does.
    """

    def check(case: Case[Any]) -> None:
        send_to_route(case, daemon)

    operation, feedback = schema.find_operation_by_label(label), FeedbackSources()
    assert operation
    build_operation_test(
        config=schema.config,
        operation=operation,
        test_func=check,
        given_kwargs={},
        feedback=feedback,
        explicit_settings=FEW,
    )()


def send_to_route(case: Case[Any], daemon: Running) -> None:
    """Send a case to an image that exists, unless it is about images that do not."""
    tried = getattr(case.meta.phase.data, "parameter_location", None) if case.meta else None
    if "uuid" in case.path_parameters and tried != ParameterLocation.PATH:
        is_unit = "upgradestatusinfo" in case.path
        case.path_parameters["uuid"] = daemon.unit if is_unit else daemon.uuids[0]
    if case.method == "PATCH":  # these are checked before the body
        if tried != ParameterLocation.HEADER:
            case.headers = VERSION.copy()
        if tried != ParameterLocation.QUERY:
            case.query = {}
    send(case, daemon)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_patch_goes_all_the_way_to_the_controller(form: str, daemon: Running) -> None:
    """Without the conditions that are checked before the change, and with each form equally often."""
    done: Counter[str] = Counter()
    operation = _schema({"$ref": REF.format(name=form)})[PATCH_ROUTE]["PATCH"]

    @settings(FEW, max_examples=10)
    @given(case=operation.as_strategy(path_parameters={"uuid": daemon.uuids[-1]}, headers=dict(VERSION), query={}))
    def check(case: Case[Any]) -> None:
        case.body = _unconditional(case.body)
        if send(case, daemon).status_code == 200:
            patch = decode_patch(msgspec.json.encode(case.body))
            done.update(annotated=patch.annotations is not None, adjusted=patch.adjustment is not None)

    for number in range(120):  # ten cases may hold no change that the Controller accepts
        seed(number)(check)()
        if done["annotated"] and done["adjusted"]:
            break
    assert done["annotated"]
    assert done["adjusted"]


def _unconditional(body: Any) -> Any:  # noqa: ANN401  JSON
    if not isinstance(body, dict):
        return body
    return {key: _unconditional(value) for key, value in body.items() if key != "_last_modified"}


@pytest.mark.parametrize("label", ["PATCH /api/image/{uuid}", "GET /api/audit"])
def test_routes_without_anonymous_callers_need_known_credentials(
    label: str, schema: OpenApiSchema, daemon: Running
) -> None:
    """Two cases each: after ten wrong credentials in a row the response would be 429."""
    method, path = label.split()

    @settings(FEW, max_examples=2)
    @given(case=schema[path][method].as_strategy(path_parameters={"uuid": daemon.uuids[0]} if "{" in path else None))
    def check(case: Case[Any]) -> None:
        case.call_and_validate(base_url=daemon.url, headers=BEARER, checks=[ignored_auth])

    check()
