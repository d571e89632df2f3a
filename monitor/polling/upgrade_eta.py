"""
Estimates when units, and the upgrade of a controller, will end. Pure; times in Unix seconds of the daemon's clock.

A cluster is estimated as an image is, by `monitor.polling.eta`, until its Controllers are done: what its progress means
after that is not known. A group is estimated by its Service Engines: how long they took, and how many are left. An
estimate stands as long as it is possible, also while the Controllers are away: that is time, and not standstill.
"""

from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Final

from msgspec.structs import replace

from monitor.model.tracked import Eta, TrackedObject, UploadProgress
from monitor.model.upgrade import Engines, EngineTimes, Upgrade, UpgradeProgress
from monitor.polling import eta
from monitor.polling.eta import CompletedUpload, Remaining, TypicalDurations
from monitor.polling.upgrade import Units, is_at_version_of, is_under_way

ENGINE_TASK: Final = "service_engine"
"""The key in `CompletedUpload.tasks` of a group: the median seconds of its Service Engines."""

_MIN_ENGINES: Final = 2  # seen from begin to end, before they are a measure
_MAX_ENGINES: Final = 100  # whose times are kept
_SPREAD: Final = 0.25  # the least uncertainty of what was measured now
_SPREAD_OF_EARLIER: Final = 0.5  # that of earlier upgrades
_NONE_LEFT: Final = Remaining(0.0, 0.0, 0.0)


def history_kind(unit: Upgrade) -> str:
    """Return the kind of work from which estimates learn: that of the unit with its operation."""
    return f"upgrade:{unit.kind}:{unit.operation_label}"


def summarize(known: TrackedObject[Upgrade] | None, unit: Upgrade, *, at: float) -> CompletedUpload:
    """Return how long a completed operation took, as `eta.summarize`; of a group, how long its Service Engines took."""
    whole = eta.summarize(known, unit, at=at)
    times = known.progress.engines if known and isinstance(known.progress, UpgradeProgress) else None
    took_s = update_engines(times, unit.engines or Engines(), at=at).took_s
    return replace(whole, tasks={ENGINE_TASK: median(took_s.values())}) if took_s else whole


def update_eta(
    known: TrackedObject[Upgrade] | None, unit: Upgrade, typical: TypicalDurations, *, at: float, moved: bool
) -> UploadProgress | None:
    """
    Return the progress of a unit after a poll, as `eta.update_eta`; None for one that waits, checks or is suspended.

    ``known``: as of the previous poll, and without its progress if a new operation began since.
    """
    if unit.state != "running" or unit.controllers_done:
        return None
    if unit.kind == "se_group" and unit.engines is not None and unit.engines.listed:
        return _update_group(known, unit.engines, typical, at=at)
    return eta.update_eta(known, unit, typical, at=at, moved=moved) if unit.kind != "se" else None


def _update_group(
    known: TrackedObject[Upgrade] | None, engines: Engines, typical: TypicalDurations, *, at: float
) -> UpgradeProgress:
    before = known.progress if known and isinstance(known.progress, UpgradeProgress) else None
    if before and before.since > at:
        before = None  # the clock was set back
    times = update_engines(before.engines if before else None, engines, at=at)
    progress = before or UpgradeProgress(at, share_done(engines))
    rest = group_remaining(engines, times, typical.tasks.get(ENGINE_TASK), at=at)
    if rest and not rest.most_s and times.since:  # one takes longer than any should: what was estimated before stands
        return replace(progress, engines=times)
    end = rest and _eta(rest, at=at)
    standstill_s = at - known.mark.changed_at if known else 0.0
    end = end and eta.update_estimate(progress.eta, end, standstill_s=standstill_s)
    return replace(progress, engines=times, eta=end, overdue=False)


def _eta(rest: Remaining, *, at: float) -> Eta:
    return Eta(at + rest.likely_s, at + rest.least_s, at + rest.most_s)


def update_engines(known: EngineTimes | None, engines: Engines, *, at: float) -> EngineTimes:
    """Return the times after a read. ``known``: None at the first, of which no Service Engine is measured."""
    before = known or EngineTimes()
    since = {uuid: min(at, before.since.get(uuid, at)) for uuid in engines.in_progress}
    begun = frozenset(since) - before.since.keys() if known else frozenset[str]()
    ended = [uuid for uuid in engines.completed if uuid in before.measured and uuid not in since]
    took_s = {**before.took_s, **{uuid: at - before.since[uuid] for uuid in ended if before.since[uuid] <= at}}
    return EngineTimes(
        since,
        begun | (before.measured & since.keys()),
        dict(list(took_s.items())[-_MAX_ENGINES:]),
        max(before.at_once, len(since)),
    )


def share_done(engines: Engines) -> float:
    """Return the share of the Service Engines of a group that are over, 0 to 1."""
    expected = _expected(engines)
    return min(1.0, _over(engines) / expected) if expected else 0.0


def group_remaining(engines: Engines, times: EngineTimes, typical_s: float | None, *, at: float) -> Remaining | None:
    """
    Return the seconds until all Service Engines of a group are over.

    ``typical_s``: of one Service Engine, in earlier upgrades. None when that is not known, and too few were measured.
    """
    took_s = times.took_s.values()
    if len(took_s) >= _MIN_ENGINES:
        likely = median(took_s)
        least = min(*took_s, likely * (1 - _SPREAD))
        most = max(*took_s, likely * (1 + _SPREAD))
    elif typical_s is not None:
        likely, least, most = typical_s, typical_s * (1 - _SPREAD_OF_EARLIER), typical_s * (1 + _SPREAD_OF_EARLIER)
    else:
        return None
    since = list(times.since.values())
    waiting = max(0, _expected(engines) - _over(engines) - len(engines.suspended) - len(since))

    def rest(each_s: float) -> float:
        under_way = [max(0.0, each_s - (at - begun)) for begun in since]
        work_s = sum(under_way) + waiting * each_s
        return max(work_s / max(1, times.at_once), *under_way, 0.0)

    return Remaining(rest(likely), rest(least), rest(most))


def waiting_remaining(unit: Upgrade, typical: TypicalDurations) -> Remaining | None:
    """Return how long a unit will take that has not begun, from earlier upgrades; None when they tell nothing."""
    engines, typical_s = unit.engines or Engines(), typical.tasks.get(ENGINE_TASK)
    if typical_s is not None and _expected(engines):
        return group_remaining(engines, EngineTimes(), typical_s, at=0.0)
    if typical.took_s is None:
        return None
    spread = typical.took_s * _SPREAD_OF_EARLIER
    return Remaining(typical.took_s, typical.took_s - spread, typical.took_s + spread)


def controller_eta(
    units: Units,
    tracked: Mapping[str, TrackedObject[Upgrade]],
    typical_of: Callable[[str], TypicalDurations],
    *,
    before: Eta | None,
    groups_at_once: int,
    at: float,
) -> Eta | None:
    """
    Return when the upgrade of a controller will end; None as `controller_remaining`.

    ``tracked``: the units by uuid. ``typical_of``: returns what is known of work of a kind, see `history_kind`.
    ``before``: what was estimated before.
    """

    def remaining_of(unit: Upgrade) -> Remaining | None:
        if not unit.active:  # a group to which the upgrade of the system has not come yet: what it did last is over
            unit = replace(unit, operation=units.cluster.operation if units.cluster else "", evaluation=False)
        elif unit.state != "queued":
            over = unit.engines is not None and unit.engines.listed and share_done(unit.engines) == 1.0
            return _NONE_LEFT if over else eta.remaining(tracked[unit.uuid], now=at)
        return waiting_remaining(unit, typical_of(history_kind(unit)))

    rest = controller_remaining(units, remaining_of, groups_at_once=groups_at_once)
    return eta.update_estimate(before, _eta(rest, at=at), standstill_s=0.0) if rest else None


def controller_remaining(
    units: Units, remaining_of: Callable[[Upgrade], Remaining | None], *, groups_at_once: int
) -> Remaining | None:
    """
    Return the seconds until the upgrade of a controller ends: the cluster, the longest group, and the groups that wait.

    ``remaining_of``: returns that of one unit, also of a group that has not begun. ``groups_at_once``: the most groups
    that were upgraded at the same time; 0: none was yet. None when nothing is upgraded, or when any part is unknown:
    so also while several groups wait, and none was seen upgraded.
    """
    cluster = units.cluster
    upgrading = is_under_way(units)
    running = [group for group in units.groups if group.state == "running"]
    waiting = [group for group in units.groups if group.state != "running" and _has_to_begin(group, cluster)]
    if not (upgrading or running or waiting):
        return None
    first = remaining_of(cluster) if upgrading and cluster else _NONE_LEFT
    under_way = list(map(remaining_of, running))
    queue = list(map(remaining_of, waiting))
    if first is None or None in under_way or None in queue or (len(queue) > 1 and not groups_at_once):
        return None
    longest = _combine(max, (each for each in under_way if each))
    queued = _combine(sum, (each for each in queue if each))
    parts = [
        (getattr(first, part) + getattr(longest, part) + getattr(queued, part) / max(1, groups_at_once))
        for part in ("likely_s", "least_s", "most_s")
    ]
    return Remaining(*parts)


def _has_to_begin(group: Upgrade, cluster: Upgrade | None) -> bool:
    """Whether it waits for its turn: it is queued, or the cluster's upgrade of the system has not come to it yet."""
    if group.state == "queued" and not group.only_checks:
        return True
    if cluster is None or not cluster.system or cluster.started_at is None or not cluster.active or cluster.only_checks:
        return False
    return not group.failed and not (cluster.controllers_done and is_at_version_of(group, cluster))


def _combine(function: Callable[[list[float]], float], parts: Iterable[Remaining]) -> Remaining:
    found = [_NONE_LEFT, *parts]
    return Remaining(
        function([each.likely_s for each in found]),
        function([each.least_s for each in found]),
        function([each.most_s for each in found]),
    )


def _expected(engines: Engines) -> int:
    """As the Controller says; where it does not, all that are listed."""
    if engines.expected is not None:
        return engines.expected
    listed = (engines.in_progress, engines.not_started, engines.suspended)
    return _over(engines) + sum(map(len, listed))


def _over(engines: Engines) -> int:
    over = (engines.completed, engines.failed, engines.skipped)
    return sum(map(len, over)) + engines.at_start.get("already_upgraded", 0)
