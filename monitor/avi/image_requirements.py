"""
Decode what an image demands before an upgrade to it. Pure.

It is decoded when it is asked for: no poll needs it. Source: Avi API objects Image and SupportedMigrations.
"""

from typing import Final

import msgspec
from msgspec import field

from monitor.avi.values import clip, parse_tasks
from monitor.avi.wire import UNREADABLE, Number, Wire
from monitor.model.image import MandatoryPatch, Patched, Requirements


class _Migrations(Wire):
    versions: list[str] | None = None
    max_active_versions: Number = None


class _Image(Wire):
    """``…_uuid``: the names of the references in releases before 21.1.4."""

    migrations: _Migrations | None = None
    controller_patch_ref: str | None = None
    controller_patch_uuid: str | None = None
    controller_patch_name: str | None = None
    engine_patch_ref: str | None = field(default=None, name="se_patch_ref")
    engine_patch_uuid: str | None = field(default=None, name="se_patch_uuid")
    engine_patch_name: str | None = field(default=None, name="se_patch_name")


_decoder: Final = msgspec.json.Decoder(_Image)


def decode_requirements(raw: msgspec.Raw) -> Requirements:
    """
    Return what an image demands; nothing where it cannot be decoded.

    Versions are written with underscores (``30_2_1``) or dots in; with dots out.
    """
    try:
        image = _decoder.decode(raw)
    except UNREADABLE:
        return Requirements()
    migrations = image.migrations or _Migrations()
    patches = (
        _patch("Controllers", image.controller_patch_ref or image.controller_patch_uuid, image.controller_patch_name),
        _patch("Service Engines", image.engine_patch_ref or image.engine_patch_uuid, image.engine_patch_name),
    )
    return Requirements(
        tuple(clip(version.replace("_", ".")) for version in migrations.versions or ()),
        parse_tasks(migrations.max_active_versions, []),
        tuple(filter(None, patches)),
    )


def _patch(of: Patched, ref: str | None, name: str | None) -> MandatoryPatch | None:
    """``ref``: a URL or a uuid, with the name behind it (``#``) if the Controller adds it."""
    path, _, name_of_ref = (ref or "").partition("#")
    uuid = clip(path.rpartition("/")[2])
    return MandatoryPatch(of, uuid, clip(name or name_of_ref)) if uuid or name else None
