"""The lines of a readiness report about the image: whether it is whole, and whether one can upgrade to it. Pure."""

from collections.abc import Iterable
from typing import Final

from monitor.avi.values import version_key
from monitor.model.image import Image, MandatoryPatch
from monitor.polling.inventory import listed, name_of
from monitor.polling.readiness_facts import Facts, Finding, dotted

_USUAL_MAX_VERSIONS: Final = 2  # where the image does not say, as the vendor documents it


def image_state(facts: Facts) -> Finding:
    """Whether the upload is completed."""
    image = facts.image
    if image.state == "completed":
        return "go", "the image is completed"
    if image.failed:
        return "no_go", f"the image has failed: {image.reason or 'the Controller does not say why'}"
    if image.active:
        return "no_go", f"the image is still being processed ({image.state})"
    return "warn", "not known: the Controller does not say whether the image is completed"


def image_nodes(facts: Facts) -> Finding:
    """Whether each node has done all its tasks for the image."""
    if not facts.events:
        return "warn", "not known: the Controller does not say what its nodes did"
    failed = [f"{each.task} on {each.node}" for each in facts.events if each.state == "failed"]
    if failed:
        return "no_go", f"failed: {listed(failed)}"
    unfinished = [f"{each.task} on {each.node}" for each in facts.events if each.state != "succeeded"]
    if unfinished and facts.image.state == "completed":  # some releases may end a task without a status
        return "warn", f"the image is completed, but the Controller does not say that these are: {listed(unfinished)}"
    if unfinished:
        return "no_go", f"not done yet: {listed(unfinished)}"
    return "go", f"all tasks have succeeded on {listed(sorted({each.node for each in facts.events}))}"


def image_type(facts: Facts) -> Finding:
    """Whether one can upgrade to such an image."""
    kind = facts.image.type
    if not kind:
        return "warn", "not known: the Controller does not say of which type the image is"
    if kind != "system":
        return "no_go", f"the image is of type {kind}: an upgrade takes one of type system"
    return "go", "the image is of type system"


def image_patches(facts: Facts) -> Finding:
    """Whether the patches that the image names are there."""
    patches = facts.requirements.patches
    if not patches:
        return "go", "the image names no mandatory patch"
    found = [(patch, _image_of(patch, facts.images.values())) for patch in patches]
    missing = [_name_of(patch) for patch, image in found if image is None]
    if missing:
        return "no_go", f"not on the Controller: {listed(missing)}"
    states = [(f"{_name_of(patch)} ({image.state})", image.state) for patch, image in found if image]
    unusable = [text for text, state in states if state not in {"completed", "unknown"}]
    if unusable:
        return "no_go", f"not completed: {listed(unusable)}"
    unknown = [text for text, state in states if state == "unknown"]
    if unknown:
        return "warn", f"not known whether they are completed: {listed(unknown)}"
    return "go", f"completed: {listed([_name_of(patch) for patch in patches])}"


def _image_of(patch: MandatoryPatch, images: Iterable[Image]) -> Image | None:
    """Return the image with the uuid of the patch, or with its name where it has no uuid."""
    return next((each for each in images if (each.uuid == patch.uuid if patch.uuid else each.name == patch.name)), None)


def _name_of(patch: MandatoryPatch) -> str:
    return f"{patch.name or patch.uuid} of the {patch.of}"


def migration(facts: Facts) -> Finding:
    """Whether one can upgrade from the present version to that of the image."""
    current, target = facts.current, facts.target
    if not current or not target:
        return "warn", f"not known: the version of the {'image' if current else 'Controllers'} is not told"
    if target < current:
        return "no_go", f"{dotted(target)} is older than {dotted(current)}: to go back is a rollback, not an upgrade"
    if target == current:
        behind = [name_of(unit) for unit in facts.units.below if version_key(unit.version.version) != target]
        if behind:
            return "go", f"the Controllers run {dotted(target)}, but not yet {listed(behind)}"
        return "warn", f"the Controllers run {dotted(target)} already"
    versions = facts.requirements.versions
    if not versions:
        return "warn", f"not known: the image does not say from which versions one can upgrade to {dotted(target)}"
    if current not in map(version_key, versions):
        return (
            "no_go",
            f"one cannot upgrade from {dotted(current)} to {dotted(target)}; only from {', '.join(versions)}",
        )
    return "go", f"one can upgrade from {dotted(current)} to {dotted(target)}"


def active_versions(facts: Facts) -> Finding:
    """Whether there would be too many versions in use, once the Controllers are upgraded."""
    target = facts.target
    if not target:
        return "warn", "not known: the version of the image is not told"
    names: dict[tuple[int, ...], list[str]] = {}
    for unit in facts.units.below:
        names.setdefault(version_key(unit.version.version), []).append(name_of(unit))
    unknown = names.pop((), [])
    in_use = sorted({target, *names})
    most = facts.requirements.max_active_versions or _USUAL_MAX_VERSIONS
    text = (
        f"{listed(list(map(dotted, in_use)))} would be in use after the Controllers are upgraded; at most {most} may be"
    )
    if len(in_use) > most:
        oldest = in_use[0]
        return "no_go", f"{text}: upgrade first what runs {dotted(oldest)} ({listed(names.get(oldest, []))})"
    return ("warn", f"{text}; not known of {listed(unknown)}") if unknown else ("go", text)
