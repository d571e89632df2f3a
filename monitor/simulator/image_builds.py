"""The part of an Image that describes a software build: names, packages, checksums, migrations. Pure, seeded."""

import hashlib

from monitor.simulator.http_types import Json
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.specs import ImageKind

TYPES: dict[ImageKind, str] = {
    "system": "IMAGE_TYPE_SYSTEM",
    "patch": "IMAGE_TYPE_PATCH",
    "must_check": "IMAGE_TYPE_MUST_CHECK",
}
RELEASES = ("18.2.13", "20.1.9", "21.1.6", "22.1.6", "30.1.2", "30.2.1", "31.1.1", "31.2.2", "32.2.1")


def next_release(version: str) -> str:
    """Return the release that follows this version; the newest version itself where none follows."""
    later = [release for release in RELEASES if _sort_key(release) > _sort_key(version)]
    return later[0] if later else version


def older_releases(version: str, count: int) -> tuple[str, ...]:
    """Return ``count`` releases, newest first, starting with this version; the oldest is repeated if needed."""
    releases = [version, *(release for release in reversed(RELEASES) if _sort_key(release) < _sort_key(version))]
    return tuple((releases + [releases[-1]] * count)[:count])


def _sort_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split("."))


def base_image(rng: SeededRandom, *, version: str, kind: ImageKind, name: str | None, host: str) -> Json:
    """
    Return the fields of an Image that do not change while it is processed.

    Shape: Avi API object Image of the newest version; ``versions.view_in_version`` removes what older versions lack.
    ``name``: None for the build's tag, such as ``30.2.1-9114-20240826.101010``.
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


def _build(rng: SeededRandom, version: str, kind: ImageKind) -> Json:
    number = rng.integer(8000, 9999)
    day = f"{rng.integer(2023, 2025)}{rng.integer(1, 12):02}{rng.integer(1, 28):02}"
    hour = f"{rng.integer(0, 23):02}{rng.integer(0, 59):02}{rng.integer(0, 59):02}"
    patch = f"-2p{rng.integer(1, 9)}" if kind == "patch" else ""
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
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # the field holds an MD5


def _migrations(version: str) -> Json:
    return {
        "api_version": version,
        "versions": [release.replace(".", "_") for release in RELEASES if _sort_key(release) < _sort_key(version)],
        "max_active_versions": 2,
        "controller_min_free_disk_size": 10,
        "controller_min_memory": 24,
        "controller_min_cores": 8,
        "se_min_free_disk_size": 5,
    }
