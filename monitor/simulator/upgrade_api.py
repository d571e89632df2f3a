"""``/api/upgradestatusinfo`` and what belongs to it: read the units, start an upgrade, roll back. Starts are writes."""

from typing import Final

import msgspec

from monitor.simulator import listing, versions
from monitor.simulator.fault_table import change_page, changes_content
from monitor.simulator.http_types import ApiError, HttpResponse, Json, encode, json_response
from monitor.simulator.images import ServedImage
from monitor.simulator.request import ApiRequest
from monitor.simulator.state import ControllerState
from monitor.simulator.upgrade_specs import UpgradeSpec

SUMMARY_FIELDS: Final = (
    "uuid", "url", "name", "node_type", "obj_cloud_ref", "tenant_ref", "version", "state", "upgrade_ops", "start_time",
    "end_time", "total_tasks", "tasks_completed", "enable_rollback", "enable_patch_rollback", "image_ref",
    "patch_image_ref", "upgrade_readiness",
)  # fmt: skip
_REPORT_STATES: Final = {
    "UPGRADE_PRE_CHECK_ERROR": "SYSTEM_REPORT_ERROR",
    "UPGRADE_PRE_CHECK_WARNING": "SYSTEM_REPORT_WARNING",
    "UPGRADE_PRE_CHECK_SUCCESS": "SYSTEM_REPORT_SUCCESS",
}


class StartBody(msgspec.Struct):
    """Body of ``POST /api/upgrade``. ``image_ref``: a URL or a path with the image's uuid at its end."""

    image_ref: str = ""
    prechecks_only: bool = False
    dry_run: bool = False


def list_units(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/upgradestatusinfo``: one page, changed by the faults."""
    return _page(controller, request, "upgradestatusinfo", _units(controller, request))


def get_unit(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/upgradestatusinfo/{uuid}``: one unit."""
    found = next((unit for unit in _units(controller, request) if unit["uuid"] == request.uuid), None)
    if found is None:
        raise ApiError(404, "UpgradeStatusInfo object not found")
    return HttpResponse(200, listing.project(_served(found), request.query).encoded)


def list_summaries(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/upgradestatussummary``: the same units with fewer fields; what else it may do is an option."""
    kind = controller.upgrades.options.summary
    if kind == "absent":
        raise ApiError(404, "Not Found")
    summaries = [_summary(unit, kind) for unit in _units(controller, request)]
    return _page(controller, request, "upgradestatussummary", summaries)


def system_reports(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/systemreport``: the pre-checks of the last upgrade."""
    cluster = next(unit for unit in _units(controller, request) if unit["node_type"] == "NODE_CONTROLLER_CLUSTER")
    checks = cluster.get("upgrade_readiness")
    if not checks:
        return json_response({"count": 0, "results": []})
    state = _REPORT_STATES.get(checks["state"]["state"], "SYSTEM_REPORT_IN_PROGRESS")
    report = {"uuid": "systemreport-1", "name": "upgrade", "state": state, "readiness_reports": [checks]}
    return json_response({"count": 1, "results": [report]})


def start(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``POST /api/upgrade``: start an upgrade to an image. Raises: ApiError 403 while one runs, 400, 404."""
    body = _body(request)
    image = controller.images.documents(controller.clock.now()).get(body.image_ref.rpartition("/")[2].partition("#")[0])
    if image is None:
        raise ApiError(404, "Image object not found")
    version = str(image.get("controller_info", {}).get("build", {}).get("version", ""))
    operation = "EVAL_UPGRADE" if body.prechecks_only else "UPGRADE"
    return _start(controller, UpgradeSpec(operation=operation, version=version, dry_run=body.dry_run))


def roll_back(controller: ControllerState, _: ApiRequest) -> HttpResponse:
    """``POST /api/rollback``: return to the build before. Raises: ApiError 403 while an upgrade runs."""
    return _start(controller, UpgradeSpec(operation="ROLLBACK"))


def _start(controller: ControllerState, spec: UpgradeSpec) -> HttpResponse:
    now = controller.clock.now()
    if controller.upgrades.is_running(now):
        raise ApiError(403, "Upgrade is in progress")
    controller.upgrades.start(spec, at=now)
    return json_response({"status": "ACCEPTED"}, status=202)


def _body(request: ApiRequest) -> StartBody:
    try:
        return msgspec.json.decode(request.http.body, type=StartBody)
    except msgspec.DecodeError as error:
        raise ApiError(400, str(error)) from error


def _units(controller: ControllerState, request: ApiRequest) -> list[Json]:
    """Return the units as this client may see them. Raises: ApiError 403 without the permission."""
    if request.session and not request.session.account.reads_upgrades:
        raise ApiError(403, "User does not have permission to read: PERMISSION_CONTROLLER")
    units = controller.upgrades.units.objects(controller.clock.now())
    if controller.upgrading and controller.upgrades.plan is None:  # by the timeline alone
        for unit in units[:1]:
            unit |= {"progress": 50, "state": {**unit["state"], "state": "UPGRADE_FSM_IN_PROGRESS"}}
    return [_view(unit, request) for unit in units]


def _view(unit: Json, request: ApiRequest) -> Json:
    version = max(request.version, versions.OLDEST_VERSION)
    view = {field: value for field, value in unit.items() if versions.UNIT_FIELDS.get(field, version) <= version}
    if "include_name" not in request.query and "obj_cloud_ref" in view:
        view["obj_cloud_ref"] = view["obj_cloud_ref"].partition("#")[0]
    return view


def _summary(unit: Json, kind: str) -> Json:
    summary: Json = {field: unit[field] for field in SUMMARY_FIELDS if field in unit}
    if kind == "stateless":
        del summary["state"]
    if kind == "lying":
        summary["state"] = {**summary["state"], "state": "UPGRADE_FSM_INIT"}
    return summary


def _served(unit: Json) -> ServedImage:
    return ServedImage(str(unit["uuid"]), "admin", encode(unit))


def _page(controller: ControllerState, request: ApiRequest, kind: str, units: list[Json]) -> HttpResponse:
    base = f"https://{controller.nodes[0]}/api/{kind}"
    page = listing.paginate(
        [_served(unit) for unit in units], request.query, page_size=controller.spec.page_size, base=base
    )
    if not changes_content(request.faults):
        return HttpResponse(200, page.encoded())
    return json_response(change_page(page.document(), request.faults, int(request.query.get("page", "1"))))
