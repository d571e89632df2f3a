"""
What a Controller of one version knows of an Image: which fields came when, which went, and what it answers to a client
that asks in an older version. Pure.

Source: the vendor's published schemas, release by release.
"""

from typing import TypeAlias

from monitor.simulator.http_types import Json, Refusal

Version: TypeAlias = tuple[int, ...]

PROFILES = ("20.1.9", "21.1.6", "22.1.6", "30.2.1", "31.2.2", "32.2.1")
WITHOUT_HEADER = "16_4_2"  # what a Controller says it spoke when the caller named no version
LAST_QUERY_KEY_WINS = (31, 2, 2)
IMAGE_INVENTORY = (32, 2, 1)

INTRODUCED: dict[str, Version] = {
    **dict.fromkeys(
        (
            "name", "uuid", "url", "_last_modified", "tenant_ref", "type", "status", "controller_info", "se_info",
            "migrations",
        ),
        (18, 2, 6),
    ),
    **dict.fromkeys(("uber_bundle", "controller_patch_ref", "se_patch_ref"), (18, 2, 8)),
    **dict.fromkeys(("controller_patch_name", "se_patch_name"), (18, 2, 10)),
    "cloud_info_values": (20, 1, 1),
    **dict.fromkeys(
        (
            "img_state", "progress", "total_tasks", "tasks_completed", "duration", "start_time", "end_time", "events",
        ),
        (21, 1, 3),
    ),
    "fips_mode_transition_applicable": (30, 1, 1),
    "dryrun_info": (31, 2, 1),
}  # fmt: skip
REMOVED: dict[str, Version] = {"status": (22, 1, 1)}
REMOTE_IMAGE_REF = ((30, 1, 1), (32, 2, 1))  # came, and went again; lives in the build of each package
PACKAGES = ("controller_info", "se_info", "dryrun_info")
OLDEST_IMAGE = (18, 2, 6)  # an older request still gets the object, in the oldest form there is


def parse(text: str) -> Version | None:
    """``30.2.1`` or ``16_4_2``, patch suffixes ignored; None when it is no version."""
    parts = text.strip().split("-")[0].replace("_", ".").split(".")
    return tuple(map(int, parts)) if len(parts) >= 2 and all(part.isdecimal() for part in parts) else None


def negotiated(asked: str | None, own: str) -> tuple[Version, str]:
    """
    The version to answer in, and how the reply names it (header ``AVI_API_VERSION``).

    Raises: Refusal 400 for a version that is none, or that is above the Controller's own.
    """
    if asked is None:
        return parse(WITHOUT_HEADER) or (), WITHOUT_HEADER
    wanted, mine = parse(asked), parse(own) or ()
    if wanted is None or wanted > mine[:3]:
        raise Refusal(400, f"Invalid version {asked}: this Controller supports versions up to {own}.")
    return wanted, asked


def has(field: str, version: Version) -> bool:
    """Whether an Image of that version has the field."""
    asked = max(version, OLDEST_IMAGE)
    return INTRODUCED.get(field, OLDEST_IMAGE) <= asked and not (field in REMOVED and REMOVED[field] <= asked)


def view(image: Json, version: Version) -> Json:
    """The image as a client of that version sees it: younger fields are left out, and so are those that are gone."""
    seen = {field: value for field, value in image.items() if has(field, version)}
    if not REMOTE_IMAGE_REF[0] <= version < REMOTE_IMAGE_REF[1]:
        seen.update({name: _without_remote_ref(seen[name]) for name in PACKAGES if name in seen})
    return seen


def _without_remote_ref(package: Json) -> Json:
    build = {field: value for field, value in package.get("build", {}).items() if field != "remote_image_ref"}
    return {**package, "build": build}


def refuse_younger(fields: tuple[str, ...], version: Version) -> None:
    """Raises: Refusal 400 in the Controller's own words when a written field is younger than the version asked for."""
    for field in fields:
        since = INTRODUCED.get(field, OLDEST_IMAGE)
        if since > max(version, OLDEST_IMAGE):
            text = (
                f"Incoming request ({_tag(version)}) has field ({field}) introduced in later versions({_tag(since)})."
            )
            raise Refusal(400, text)


def _tag(version: Version) -> str:
    return "v" + "_".join(map(str, version))
