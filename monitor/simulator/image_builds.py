"""Software builds as a Controller describes them: names, packages, checksums, what they migrate from. Pure, seeded."""

import hashlib

from monitor.simulator.http_types import Json
from monitor.simulator.random_values import Seeded
from monitor.simulator.specs import Kind

TYPES: dict[Kind, str] = {
    "system": "IMAGE_TYPE_SYSTEM",
    "patch": "IMAGE_TYPE_PATCH",
    "must_check": "IMAGE_TYPE_MUST_CHECK",
}
RELEASES = ("18.2.13", "20.1.9", "21.1.6", "22.1.6", "30.1.2", "30.2.1", "31.1.1", "31.2.2", "32.2.1")


def next_release(version: str) -> str:
    """The release a Controller of this version would be upgraded to; the newest is upgraded to its own next patch."""
    later = [release for release in RELEASES if _key(release) > _key(version)]
    return later[0] if later else version


def older_releases(version: str, count: int) -> tuple[str, ...]:
    """``count`` releases that would lie on such a Controller, its own first, the oldest repeated where they run out."""
    known = [version, *(release for release in reversed(RELEASES) if _key(release) < _key(version))]
    return tuple((known + [known[-1]] * count)[:count])


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split("."))


def built_image(rng: Seeded, *, version: str, kind: Kind, name: str | None, host: str) -> Json:
    """
    The part of an Image that does not change while it is processed.

    Shape: Avi API object Image, newest form; ``versions.view`` takes away what an older client must not see.
    The name is the build's tag, ``30.2.1-9114-20240826.101010``, unless one is given.
    """
    uuid = f"image-{rng.uuid()}"
    build = _build(rng, version, kind)
    name = name or build["tag"]
    folder = f"/var/lib/avi/upgrade_pkgs/{uuid}"
    package: Json = {"build": build, "hash": _checksum(name), "path": f"{folder}/controller.pkg"}
    if kind == "patch":
        package["patch"] = {"patch_type": "MAINTENANCE", "reboot": False, "reboot_list": []}
    return {
        "uuid": uuid,
        "url": f"https://{host}/api/image/{uuid}",
        "name": name,
        "type": TYPES[kind],
        "tenant_ref": f"https://{host}/api/tenant/admin",
        "uber_bundle": False,
        "fips_mode_transition_applicable": True,
        "controller_info": package,
        "se_info": {**package, "hash": _checksum(f"{name} se"), "path": f"{folder}/se.pkg"},
        "migrations": _migrations(version),
        "cloud_info_values": [],
    }


def _build(rng: Seeded, version: str, kind: Kind) -> Json:
    number = rng.whole(8000, 9999)
    day = f"{rng.whole(2023, 2025)}{rng.whole(1, 12):02}{rng.whole(1, 28):02}"
    hour = f"{rng.whole(0, 23):02}{rng.whole(0, 59):02}{rng.whole(0, 59):02}"
    patch = f"-2p{rng.whole(1, 9)}" if kind == "patch" else ""
    build: Json = {
        "version": version,
        "build_no": number,
        "date": f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour[:2]}:{hour[2:4]}:{hour[4:]}+00:00",
        "min_version": "18.2.6",
        "product": "controller",
        "product_name": "Avi Cloud Controller",
        "remote_image_ref": "",
        "tag": f"{version}{patch}-{number}-{day}.{hour}",
    }
    return {**build, "patch_version": patch[1:]} if patch else build


def _checksum(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # the API says MD5


def _migrations(version: str) -> Json:
    return {
        "api_version": version,
        "versions": [release for release in RELEASES if _key(release) < _key(version)],
        "max_active_versions": 2,
        "controller_min_free_disk_size": 10,
        "controller_min_memory": 24,
        "controller_min_cores": 8,
        "se_min_free_disk_size": 5,
    }
