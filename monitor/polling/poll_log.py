"""
What the log says of polls and images: changes of health at warning, once; changes of images at info; the rest at debug.

An upgrade is no alarm: what belongs to one is said at info.
"""

from collections.abc import Mapping
from typing import assert_never

from structlog.typing import FilteringBoundLogger

from monitor.model.health import Health
from monitor.model.image import Image
from monitor.model.snapshot import Altered, Appeared, Change, Vanished


def poll(log: FilteringBoundLogger, before: Health, after: Health, *, took_s: float, late_s: float) -> None:
    """One poll ended. A change of health is a warning; another reason for the same bad health is none."""
    outcome = after.reason or "good"
    log.debug(
        "poll", outcome=outcome, took_s=round(took_s, 4), late_s=round(late_s, 4), next_in_s=round(after.interval_s, 1)
    )
    if after.up and not before.up:
        log.warning("controller_up", version=after.version, api_version=after.api_version)
    elif after.reason and after.reason != before.reason:
        fell = before.up or before.upgrading or before.reason is None
        say = log.warning if (fell or after.auth_suspended) and not after.upgrading else log.info
        event = "controller_auth_suspended" if after.auth_suspended else "controller_down"
        say(event, reason=after.reason, cause=after.cause, last_success_at=after.succeeded_at)


def images(log: FilteringBoundLogger, changes: tuple[Change, ...], *, first: bool) -> None:
    """What a poll found to be different: one event an image, but one for all that the first poll finds."""
    if first and changes:
        active = sum(isinstance(change, Appeared) and change.after.active for change in changes)
        log.info("images_listed", images=len(changes), active=active)
        return
    for change in changes:
        match change:
            case Appeared(after):
                log.info("image_appeared", **_facts(after))
            case Vanished(before):
                log.info("image_vanished", **_facts(before))
            case Altered(before, after, moved):
                _altered(log, before, after, moved=moved)
            case _:
                assert_never(change)


def _altered(log: FilteringBoundLogger, before: Image, after: Image, *, moved: bool) -> None:
    if after.state == before.state:
        log.debug("image_moved" if moved else "image_edited", **_facts(after))
    elif after.state == "failed":
        log.warning("image_failed", cause=after.reason, **_facts(after))
    else:
        log.info("image_state_changed", before=before.state, **_facts(after))


def _facts(image: Image) -> Mapping[str, object]:
    return {
        "image_uuid": image.uuid,
        "image": image.name,
        "state": image.state,
        "progress_ratio": image.progress_ratio,
        "tasks_completed": image.tasks_completed,
    }


def bad_images(log: FilteringBoundLogger, bad: Mapping[str, str], *, unidentified: int) -> None:
    """Objects that could not be read; each uuid is given here once, when it turned bad."""
    for uuid, cause in bad.items():
        log.warning("bad_image", image_uuid=uuid, cause=cause)
    if unidentified:
        log.warning("bad_image", image_uuid="", cause="neither `uuid` nor `url`", images=unidentified)
