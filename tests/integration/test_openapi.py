"""The running daemon does what its OpenAPI document says, whatever is sent: schemathesis judges, over a real socket."""

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
from hypothesis import HealthCheck, given, settings
from msgspec import Struct
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, CheckContext, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth
from schemathesis.specs.openapi.schemas import OpenApiSchema
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.patching.body import decode_patch
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from monitor.web.openapi import document
from monitor.web.openapi_patch import PATCH_BODY, REF
from monitor.web.problems import TYPE
from monitor.web.routes import ROUTES
from tests.support.daemons import polled, watching
from tests.support.operators import ROOT, TOKENS

FLEET = (
    ControllerSpec(name="dc1", images=3, uploads=(UploadSpec(duration=60.0, started_ago=20.0),)),
    ControllerSpec(name="dc2", images=2, nodes=1),
)
BEARER = {"Authorization": f"Bearer {ROOT}"}
VERSION = CaseInsensitiveDict({"X-Avi-Version": "30.2.1"})
DRAWN = settings(
    max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
PATCH_ROUTE = "/api/image/{uuid}"
FORMS = [shape["$ref"].rpartition("/")[2] for shape in PATCH_BODY.schema["anyOf"]]

BEYOND_SCHEMAS = {
    "precondition-failed",  # a tag or a _last_modified that is made up is not the image's
    "controller-refused",  # the Controller wants references to be of images that it has, and names that nobody else has
    "two-operations",  # of a json_patch it depends on the order of the steps
    "unknown-version",  # a version that is made up may be younger than the Controller
}
"""Why a request that is valid by the document may be refused all the same, with 400, 412 or 422."""


class Running(Struct, frozen=True):
    """A daemon on another thread's loop. ``uuids``: of the images that are not being processed."""

    url: str
    uuids: tuple[str, ...]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests, beside them: requests of schemathesis block. Not one of its loggers may name a bug."""
    ready: Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    folder = tmp_path_factory.mktemp("daemon")
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, ready)), name="daemon")
    with capture_logs() as logs:
        thread.start()
        try:
            running, loop, stop = ready.result(timeout=30.0)
            yield running
            loop.call_soon_threadsafe(stop.set)
        finally:
            thread.join()
    assert not [entry for entry in logs if entry["event"].endswith("_bug")]


async def _serve(folder: Path, ready: "Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
    stop = asyncio.Event()
    try:
        async with Simulator(FLEET, speed=0.0) as simulator, watching(simulator, folder, tokens=TOKENS) as daemon:
            for name in simulator.controllers:
                await polled(daemon, name)
            ready.set_result((Running(daemon.url, _idle(daemon)), asyncio.get_running_loop(), stop))
            await stop.wait()
    except BaseException as error:
        if not ready.done():  # else nobody waits any more, and the thread says it
            ready.set_exception(error)
        raise


def _idle(daemon: Daemon) -> tuple[str, ...]:
    return tuple(track.image.uuid for _, track in daemon.fleet.images() if not track.image.active)


def _schema(body: Mapping[str, Any] | None = None) -> OpenApiSchema:
    """The document as schemathesis reads it. ``body``: instead of the one of PATCH."""
    raw = document(ROUTES)
    del raw["paths"]["/api/events"]  # whose answer has no end; test_events.py reads it
    if body:
        for content in raw["paths"][PATCH_ROUTE]["patch"]["requestBody"]["content"].values():
            content["schema"] = body
            del content["examples"]
    checks = {
        "ignored_auth": {"enabled": False},  # whoever shows wrong credentials often is answered 429: see below, alone
        "positive_data_acceptance": {  # `require_a_reason` looks at those that are added here
            "expected-statuses": ["2xx", "304", "404", "409", "400", "412", "422"]
        },
    }
    return schemathesis.openapi.from_dict(raw, config=SchemathesisConfig.from_dict({"seed": 7, "checks": checks}))


def require_a_reason(_ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """What is valid by the document is refused for nothing that the document could have said."""
    if case.meta and case.meta.generation.mode.is_positive and response.status_code in {400, 412, 422}:
        kind = str(msgspec.json.decode(response.content)["type"]).removeprefix(TYPE)
        assert kind in BEYOND_SCHEMAS


def send(case: Case[Any], daemon: Running) -> Response:
    """Send it with all rights, and let every check look at the answer."""
    response: Response = case.call_and_validate(
        base_url=daemon.url, headers=BEARER, additional_checks=[require_a_reason]
    )
    return response


def test_the_daemon_serves_the_document(daemon: Running) -> None:
    response = requests.get(f"{daemon.url}/api/openapi.json", headers=BEARER, timeout=10.0)
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == msgspec.json.decode(msgspec.json.encode(document(ROUTES)))


SCHEMA = _schema()


@SCHEMA.parametrize()
@DRAWN
@pytest.mark.timeout(240)
def test_every_route_does_what_the_document_says(case: Case[Any], daemon: Running) -> None:
    """In every phase: the examples, what covers each keyword of each schema, and what is drawn at random."""
    tried = getattr(case.meta.phase.data, "parameter_location", None) if case.meta else None
    if "uuid" in case.path_parameters and tried != ParameterLocation.PATH:
        case.path_parameters["uuid"] = daemon.uuids[0]
    if case.method == "PATCH":  # these decide before the body is looked at
        if tried != ParameterLocation.HEADER:
            case.headers = VERSION.copy()
        if tried != ParameterLocation.QUERY:
            case.query = {}
    send(case, daemon)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_patch_goes_all_the_way_to_the_controller(form: str, daemon: Running) -> None:
    """With what decides before the change out of its way: conditions of the past, and forms that are rarely drawn."""
    done: Counter[str] = Counter()
    operation = _schema({"$ref": REF.format(name=form)})[PATCH_ROUTE]["PATCH"]

    @settings(DRAWN, max_examples=100)
    @given(case=operation.as_strategy(path_parameters={"uuid": daemon.uuids[-1]}))
    def draw(case: Case[Any]) -> None:
        case.headers, case.query, case.body = VERSION.copy(), {}, _unconditional(case.body)
        if send(case, daemon).status_code == 200:
            patch = decode_patch(msgspec.json.encode(case.body))
            done.update(annotated=patch.annotating is not None, adjusted=patch.adjustment is not None)

    draw()
    assert done["annotated"]
    assert done["adjusted"]


def _unconditional(body: Any) -> Any:  # noqa: ANN401  JSON
    if not isinstance(body, dict):
        return body
    return {key: _unconditional(value) for key, value in body.items() if key != "_last_modified"}


@pytest.mark.parametrize("label", ["PATCH /api/image/{uuid}", "GET /api/audit"])
def test_what_anonymous_callers_may_never_do_wants_credentials_that_are_known(label: str, daemon: Running) -> None:
    """Twice each: after ten wrong ones in a row this address would be answered 429."""
    method, path = label.split()

    @settings(DRAWN, max_examples=2)
    @given(case=SCHEMA[path][method].as_strategy(path_parameters={"uuid": daemon.uuids[0]} if "{" in path else None))
    def draw(case: Case[Any]) -> None:
        case.call_and_validate(base_url=daemon.url, headers=BEARER, checks=[ignored_auth])

    draw()
