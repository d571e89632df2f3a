"""``/api/upgradestatusinfo`` and what belongs to it: read the units, start an upgrade, roll back. Starts are writes."""

from dataclasses import replace
from typing import Final

import msgspec

from monitor.simulator import listing, versions
from monitor.simulator.fault_responses import UPGRADE_TEXT
from monitor.simulator.fault_table import change_images, change_page, changes_content
from monitor.simulator.http_types import ApiError, HttpResponse, Json, encode, json_response
from monitor.simulator.images import ServedImage
from monitor.simulator.request import ApiRequest
from monitor.simulator.state import ControllerState
from monitor.simulator.upgrade_specs import UpgradeSpec

SUMMARY_FIELDS: Final = (
    "uuid", "url", "name", "node_type", "obj_cloud_ref", "tenant_ref", "version", "state", "upgrade_ops", "start_time",
    "end_time", "total_tasks", "tasks_completed", "enable_rollback", "enable_patch_rollback", "image_ref",
    "patch_image_ref", "_last_modified",
)  # fmt: skip
_REPORT_STATES: Final = {
    "UPGRADE_PRE_CHECK_STARTED": "SYSTEM_REPORT_STARTED",
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
    """``GET /api/upgradestatusinfo/{uuid}``: one unit, changed by the faults."""
    return _one(request, "UpgradeStatusInfo", _units(controller, request))


def list_summaries(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/upgradestatussummary``: the same units with fewer fields; what else it may do is an option."""
    return _page(controller, request, "upgradestatussummary", _summaries(controller, request))


def get_summary(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/upgradestatussummary/{uuid}``: the summary of one unit."""
    return _one(request, "UpgradeStatusSummary", _summaries(controller, request))


def list_reports(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/systemreport``: the pre-checks of the last upgrade."""
    return _page(controller, request, "systemreport", _reports(controller, request))


def get_report(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/systemreport/{uuid}``: the pre-checks of the last upgrade."""
    return _one(request, "SystemReport", _reports(controller, request))


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
    """``POST /api/rollback``: return to the build before. Raises: ApiError 403 while an upgrade runs, 400."""
    now = controller.clock.now()
    if not controller.upgrades.is_running(now) and not controller.upgrades.units.cluster(now)["enable_rollback"]:
        raise ApiError(400, "Rollback is not possible")
    return _start(controller, UpgradeSpec(operation="ROLLBACK"))


def _start(controller: ControllerState, spec: UpgradeSpec) -> HttpResponse:
    now = controller.clock.now()
    if controller.upgrades.is_running(now):
        raise ApiError(403, UPGRADE_TEXT)
    controller.upgrades.start(spec, at=now)
    return json_response({"status": "ACCEPTED"}, status=202)


def _body(request: ApiRequest) -> StartBody:
    try:
        return msgspec.json.decode(request.http.body, type=StartBody)
    except msgspec.DecodeError as error:
        raise ApiError(400, str(error)) from error


def _units(controller: ControllerState, request: ApiRequest) -> list[Json]:
    """Return the units as this client may see them; of a request for one unit only that one. Raises: as `_readable`."""
    return [_view(unit, request) for unit in _readable(controller, request)]


def _readable(controller: ControllerState, request: ApiRequest) -> list[Json]:
    """
    Return what `_units` does, in the newest version.

    Raises: ApiError 403 without the permission; 404 from a Controller that is older than the first with units.
    """
    _check_may_read(request)
    if (versions.parse(controller.version) or ()) < versions.OLDEST_VERSION:
        raise ApiError(404, "Not Found")
    units = controller.upgrades.units.objects(controller.clock.now())
    if controller.upgrading and controller.upgrades.plan is None:  # by the timeline alone
        cluster = next(unit for unit in units if unit["uuid"] == controller.upgrades.cluster_uuid)
        cluster |= {"progress": 50, "state": {**cluster["state"], "state": "UPGRADE_FSM_IN_PROGRESS"}}
    asked = [unit for unit in units if unit["uuid"] == request.uuid] if request.uuid else units
    return [unit for unit in asked if request.tenant in {"*", _tenant(unit)}]


def _check_may_read(request: ApiRequest) -> None:
    if request.session and not request.session.account.reads_upgrades:
        raise ApiError(403, "User does not have permission to read: PERMISSION_CONTROLLER")


def _view(unit: Json, request: ApiRequest) -> Json:
    return versions.view_unit(unit, request.version, with_names="include_name" in request.query)


def _summaries(controller: ControllerState, request: ApiRequest) -> list[Json]:
    kind = controller.upgrades.options.summary
    if kind == "absent":
        raise ApiError(404, "Not Found")
    return [_view(_summary(unit, kind), request) for unit in _readable(controller, request)]


def _summary(unit: Json, kind: str) -> Json:
    summary: Json = {field: unit[field] for field in SUMMARY_FIELDS if field in unit}
    if kind == "stateless":
        del summary["state"]
    if kind == "lying":
        summary["state"] = {**summary["state"], "state": "UPGRADE_FSM_INIT"}
    return summary


def _reports(controller: ControllerState, request: ApiRequest) -> list[Json]:
    """Return one report, if there was an upgrade with pre-checks. Raises: ApiError 404 in a release without reports."""
    _check_may_read(request)
    if not versions.has_reports(versions.parse(controller.version) or ()):
        raise ApiError(404, "Not Found")
    cluster = controller.upgrades.units.cluster(controller.clock.now())
    return [_view(_report(cluster), request)] if "upgrade_readiness" in cluster else []


def _report(cluster: Json) -> Json:
    """Return the pre-checks of a unit as a report. Shape: Avi API object SystemReport."""
    checks, ref = cluster["upgrade_readiness"], cluster["system_report_refs"][0]
    url, _, name = ref.partition("#")
    state = _REPORT_STATES.get(checks["state"]["state"], "SYSTEM_REPORT_IN_PROGRESS")
    node = {
        "name": cluster["name"],
        "node_type": cluster["node_type"],
        "node_ref": f"{cluster['url']}#{cluster['name']}",
    }
    return {
        "uuid": url.rpartition("/")[2],
        "url": url,
        "name": name,
        "tenant_ref": cluster["tenant_ref"],
        "state": {**checks["state"], "state": state},
        "readiness_reports": [{**node, "system_readiness": checks}],
        "summary": {
            "title": "Upgrade pre-checks",
            "previews": [each["details"][0] for each in checks.get("checks", [])],
        },
        "downloadable": False,
        **({"image_ref": checks["image_ref"]} if "image_ref" in checks else {}),
    }


def _served(document: Json) -> ServedImage:
    return ServedImage(str(document["uuid"]), _tenant(document), encode(document))


def _tenant(document: Json) -> str:
    return str(document["tenant_ref"]).rpartition("/")[2]


def _one(request: ApiRequest, kind: str, documents: list[Json]) -> HttpResponse:
    found = next((document for document in documents if document["uuid"] == request.uuid), None)
    if found is None:
        raise ApiError(404, f"{kind} object not found")
    served = listing.project(_served(found), request.query)
    if not changes_content(request.faults):
        return HttpResponse(200, served.encoded)
    return json_response(change_images([served.image], request.faults)[0])


def _page(controller: ControllerState, request: ApiRequest, kind: str, documents: list[Json]) -> HttpResponse:
    base, page_size = f"https://{controller.nodes[0]}/api/{kind}", controller.spec.page_size
    page = listing.paginate(list(map(_served, documents)), request.query, page_size=page_size, base=base)
    if request.version < versions.NEXT_PAGE:
        page = replace(page, next=None)
    if not changes_content(request.faults):
        return HttpResponse(200, page.encoded())
    return json_response(change_page(page.document(), request.faults, int(request.query.get("page", "1"))))
