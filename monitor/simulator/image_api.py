"""``/api/image``: list, read, upload, change and delete images; ``/api/image-inventory``: who uses the images."""

from monitor.simulator import listing, patching, versions
from monitor.simulator.fault_table import change_images, change_page, changes_content
from monitor.simulator.http_types import ApiError, HttpResponse, Json, json_response
from monitor.simulator.images import ServedImage
from monitor.simulator.request import ApiRequest
from monitor.simulator.specs import ImageKind, UploadSpec
from monitor.simulator.state import ControllerState


def list_images(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/image``: one page of the list, changed by the faults."""
    base = f"https://{controller.nodes[0]}/api/image"
    images = _images_of_tenant(controller, request)
    page = listing.paginate(images, request.query, page_size=controller.spec.page_size, base=base)
    if not changes_content(request.faults):
        return HttpResponse(200, page.encoded())
    return json_response(change_page(page.document(), request.faults, int(request.query.get("page", "1"))))


def _images_of_tenant(controller: ControllerState, request: ApiRequest) -> list[ServedImage]:
    images = controller.images.served(controller.clock.now(), request.version)
    return [image for image in images if request.tenant in {"*", image.tenant}]


def _find(controller: ControllerState, request: ApiRequest) -> ServedImage:
    image = controller.images.find(request.uuid, controller.clock.now(), request.version)
    if image is None or request.tenant not in {"*", image.tenant}:
        raise ApiError(404, "Image object not found")
    return image


def get_image(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/image/{uuid}``: one image, changed by the faults."""
    served = listing.project(_find(controller, request), request.query)
    if not changes_content(request.faults):
        return HttpResponse(200, served.encoded)
    return json_response(change_images([served.image], request.faults)[0])


def upload(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """
    ``POST /api/image``: a multipart upload becomes an image that is processed from now on; its bytes are discarded.

    As in real Controllers, only this response has ``#name`` at the end of the image's URL.
    """
    file = request.http.file
    if file is None:
        raise ApiError(400, "A multipart form with one part named file is expected")
    if controller.spec.follower:
        raise ApiError(400, "Image can be uploaded to the leader node only")
    if file.size > controller.spec.max_image_bytes:
        raise ApiError(413, f"Image is larger than {controller.spec.max_image_bytes} bytes")
    kind: ImageKind = "patch" if "patch" in file.filename else "system"
    uuid = controller.add_upload(UploadSpec(kind=kind, duration=controller.spec.upload_duration))
    image = versions.view_in_version(controller.images.image(uuid, controller.clock.now()), request.version)
    image["url"] = f"{image['url']}#{image['name']}"
    return json_response(image, status=201).with_headers(("Location", image["url"]))


def patch(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``PATCH /api/image/{uuid}``: the image after the change. Raises: ApiError, see ``patching.apply_patch``."""
    served = _find(controller, request)
    now = controller.clock.now()
    context = patching.PatchContext(controller.spec.patching, request.version, controller.images.names(now))
    before = controller.images.image(served.key, now)
    after = patching.apply_patch(before, request.http.body, context)
    changed = {field: value for field, value in after.items() if field not in before or before[field] != value}
    controller.images.write(served.key, changed, now=now, unset=frozenset(before) - frozenset(after))
    return get_image(controller, request)


def delete(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``DELETE /api/image/{uuid}``: 204 with the content type of JSON. Raises: ApiError 400 for an image in use."""
    served = _find(controller, request)
    if controller.is_in_use(served.key):
        raise ApiError(400, f"Cannot delete, object is referred by: ['UpgradeStatusInfo cluster-{controller.name}']")
    controller.images.remove(served.key)
    return HttpResponse(204)


def inventory(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/image-inventory``: the images by version, and the units that use them. Not paged."""
    users = controller.upgrades.units.users(controller.clock.now())
    by_version: dict[str, list[Json]] = {}
    for served in _images_of_tenant(controller, request):
        in_use_info = [
            {name: unit[name] for name in ("name", "node_type", "uuid")} for unit in users.get(served.key, [])
        ]
        entry = {"image": served.image, "in_use": controller.is_in_use(served.key), "in_use_info": in_use_info}
        by_version.setdefault(_version_of(served.image), []).append(entry)
    results = [{"version": version, "image_info": images} for version, images in by_version.items()]
    return json_response({"count": len(results), "results": results})


def _version_of(image: Json) -> str:
    package = image.get("controller_info")
    build = package.get("build") if isinstance(package, dict) else None
    return str(build.get("version", "")) if isinstance(build, dict) else ""
