"""``/api/image``: list, read, upload, change, delete; and who uses which image."""

import msgspec

from monitor.simulator import listing, patching, versions
from monitor.simulator.fault_table import altered_envelope, altered_images, alters
from monitor.simulator.http_types import Json, Refusal, Reply, encode, reply
from monitor.simulator.images import Served
from monitor.simulator.request import Asked
from monitor.simulator.specs import Kind, UploadSpec
from monitor.simulator.state import ControllerState


def images(controller: ControllerState, asked: Asked) -> Reply:
    """One page of the list, with what the faults make of it."""
    base = f"https://{controller.nodes[0]}/api/image"
    mine = _of_tenant(controller, asked)
    page = listing.page_of(mine, asked.query, page_size=controller.spec.page_size, base=base)
    if not alters(asked.faults):
        return Reply(200, page.encoded())
    return reply(altered_envelope(page.document(), asked.faults, int(asked.query.get("page", "1"))))


def _of_tenant(controller: ControllerState, asked: Asked) -> list[Served]:
    served = controller.images.served(controller.clock.now(), asked.version)
    return [one for one in served if asked.tenant in {"*", one.tenant}]


def _found(controller: ControllerState, asked: Asked) -> Served:
    one = controller.images.find(asked.uuid, controller.clock.now(), asked.version)
    if one is None or asked.tenant not in {"*", one.tenant}:
        raise Refusal(404, "Image object not found")
    return one


def image(controller: ControllerState, asked: Asked) -> Reply:
    """The bare object, with what the faults make of it."""
    served = listing.projected(_found(controller, asked), asked.query)
    if not alters(asked.faults):
        return Reply(200, served.encoded)
    return reply(altered_images([served.image], asked.faults)[0])


def upload(controller: ControllerState, asked: Asked) -> Reply:
    """
    A multipart upload becomes an image that is now processed; the bytes themselves are thrown away.

    The answer, alone among all, carries ``#name`` behind its URL.
    """
    file = asked.call.file
    if file is None:
        raise Refusal(400, "A multipart form with one part named file is expected")
    if controller.spec.follower:
        raise Refusal(400, "Image can be uploaded to the leader node only")
    if file.size > controller.spec.max_image_bytes:
        raise Refusal(413, f"Image is larger than {controller.spec.max_image_bytes} bytes")
    kind: Kind = "patch" if "patch" in file.filename else "system"
    uuid = controller.plan(UploadSpec(kind=kind, duration=controller.spec.upload_duration))
    made = versions.view(controller.images.image(uuid, controller.clock.now()), asked.version)
    made["url"] = f"{made['url']}#{made['name']}"
    return reply(made, status=201).carrying(("Location", made["url"]))


def patch(controller: ControllerState, asked: Asked) -> Reply:
    """The whole object after the change. Raises: Refusal, see ``patching.patched``."""
    served = _found(controller, asked)
    now = controller.clock.now()
    setting = patching.Setting(controller.spec.patching, asked.version, controller.images.names(now))
    before = controller.images.image(served.key, now)
    after = patching.patched(before, asked.call.body, setting)
    changed = {field: value for field, value in after.items() if field not in before or before[field] != value}
    controller.images.write(served.key, changed, now=now, gone=frozenset(before) - frozenset(after))
    return image(controller, asked)


def delete(controller: ControllerState, asked: Asked) -> Reply:
    """204 and nothing, which calls itself JSON. Raises: Refusal 400 while an upgrade status refers to the image."""
    served = _found(controller, asked)
    if served.key in controller.pinned:
        raise Refusal(400, f"Cannot delete, object is referred by: ['UpgradeStatusInfo cluster-{controller.name}']")
    controller.images.remove(served.key)
    return Reply(204)


def inventory(controller: ControllerState, asked: Asked) -> Reply:
    """Images grouped by version, with who uses them. No pages."""
    grouped: dict[str, list[msgspec.Raw]] = {}
    for served in _of_tenant(controller, asked):
        grouped.setdefault(_version_of(served.image), []).append(_inventoried(controller, served))
    results = [{"version": version, "image_info": images} for version, images in grouped.items()]
    return reply({"count": len(results), "results": results})


def _version_of(image: Json) -> str:
    package = image.get("controller_info")
    build = package.get("build") if isinstance(package, dict) else None
    return str(build.get("version", "")) if isinstance(build, dict) else ""


def _inventoried(controller: ControllerState, served: Served) -> msgspec.Raw:
    used = served.key in controller.pinned
    user = {
        "name": f"cluster-{controller.name}",
        "node_type": "NODE_CONTROLLER_CLUSTER",
        "uuid": controller.cluster_uuid,
    }
    told = {"image": served.image, "in_use": used, "in_use_info": [user] if used else []}
    return msgspec.Raw(encode(told))
