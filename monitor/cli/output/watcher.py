"""The state machine of ``watch``: takes the items of the stream, updates the display, and knows when the wait ends."""

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from msgspec.structs import replace

from monitor.cli.api.messages import Message
from monitor.cli.api.responses import CommandError, ConnectionLost
from monitor.cli.api.subscription import Connected, StreamItem
from monitor.cli.api.view import Change, FleetView, ObjectKey, apply
from monitor.cli.output import target as images
from monitor.cli.output import upgrade_target as units
from monitor.cli.output.display import Display
from monitor.cli.output.target import EndState
from monitor.cli.output.upgrade_judge import Succeeded, Waiting, judge
from monitor.cli.output.upgrade_wait import Seen
from monitor.cli.output.watch_state import Target, UpgradeTarget, WatchState
from monitor.config.validation import quoted

_TIMER_RESOLUTION_S: Final = 0.1  # an event loop may be early by some milliseconds


class Watcher:
    """
    ``until``: the state of the image that ends the wait; None: watch for ever, or for what an UpgradeTarget waits for.

    ``monotonic``: the client's own clock.
    """

    def __init__(
        self,
        target: Target | UpgradeTarget,
        until: EndState | None,
        display: Display,
        monotonic: Callable[[], float],
    ) -> None:
        self._until = until
        self._display = display
        self._monotonic = monotonic
        self._state = WatchState(target)
        self._seen = Seen()
        self._due_at: float | None = None
        self._has_said_not_found = False

    def handle(self, item: StreamItem) -> bool:
        """
        Update the display, and return whether the target has reached what is waited for.

        Raises: TargetFailed; WaitTimeout when no upgrade has begun in time; Rejected when several objects match;
        ServerError for an object that cannot be decoded.
        """
        match item:
            case Connected():
                self._handle_connected()
            case ConnectionLost():
                self._handle_lost(item)
            case Message():
                return self._handle_message(item)
            case _:
                assert_never(item)
        return False

    @property
    def decides_in_s(self) -> float | None:
        """After how many seconds the wait ends if nothing happens until then; None: not by itself."""
        if self._due_at is None or self._state.lost:
            return None
        return max(0.0, self._due_at - self._daemon_now())

    def _handle_connected(self) -> None:
        if self._state.lost:
            self._state = replace(self._state, lost="", as_of=None)
            self._update_display(())
            self._display.notify("reconnected")

    def _handle_lost(self, lost: ConnectionLost) -> None:
        state, reason = self._state, str(lost)
        if not state.lost:
            self._display.notify(f"connection lost, reconnecting: {reason}")
            heard = state.view.clock_offset_s is not None
            state = replace(state, as_of=self._daemon_now() - lost.silent_s if heard else None)
        self._state = replace(state, lost=reason)
        self._update_display(())

    def _handle_message(self, message: Message) -> bool:
        state = self._state
        view, changes = apply(state.view, message, received_at=self._monotonic())
        # A wait stays with the image that was found. Without a wait, a removed one may be replaced by another.
        keeps_key = state.key and (self._until or _exists(view, state.target, state.key))
        # A controller that is removed later ends a wait for its upgrade in another way than one that never was.
        is_judged = self._is_judged and state.view.clock_offset_s is not None
        key = state.key if keeps_key or is_judged else _find(view, state.target)
        self._state = replace(state, view=view, key=key)
        keys = {key, state.key} - {None} or {None}
        relevant = [change for change in changes if any(_is_relevant(change, state.target, each) for each in keys)]
        self._update_display(relevant)
        self._notify_not_found()
        if isinstance(state.target, UpgradeTarget):
            return self._judge(state.target, now=self._daemon_now())
        return self._until is not None and key is not None and images.has_reached(view, key, self._until)

    @property
    def _is_judged(self) -> bool:
        return isinstance(self._state.target, UpgradeTarget) and self._state.target.wait is not None

    def _judge(self, target: UpgradeTarget, *, now: float) -> bool:
        """Raises: as `handle`."""
        if target.wait is None:
            return False
        controller = self._state.view.controllers.get(target.controller)
        self._seen, verdict = judge(target.wait, self._seen, controller, now=now)
        self._due_at = verdict.due_at if isinstance(verdict, Waiting) else None
        if error := units.verdict_error(target.controller, controller, verdict, now=now):
            raise error
        return isinstance(verdict, Succeeded)

    def timeout_error(self) -> CommandError:
        """Return the error for the end of the timeout, or for a wait that ends because nothing has happened."""
        target, now = self._state.target, self._daemon_now()
        if isinstance(target, Target):
            return images.wait_timeout(self._state, target, now=now)
        left_s = self.decides_in_s
        if self._due_at is not None and left_s is not None and left_s < _TIMER_RESOLUTION_S:
            try:
                self._judge(target, now=max(now, self._due_at))
            except CommandError as error:
                return error
        return units.upgrade_timeout(self._state, target, now=now)

    def _daemon_now(self) -> float:
        return self._state.now(self._monotonic())

    def _update_display(self, changes: Sequence[Change]) -> None:
        self._display.update(self._state, changes, now=self._daemon_now())

    def _notify_not_found(self) -> None:
        """Notify once: a new upload appears with the next poll."""
        target = self._state.target
        kind, text = ("image", target.image) if isinstance(target, Target) else ("unit", target.unit)
        if text and self._state.key is None and not self._has_said_not_found:
            self._has_said_not_found = True
            self._display.notify(f"no {kind} with the uuid or name {quoted(text)} yet; waiting for it")


def _find(view: FleetView, target: Target | UpgradeTarget) -> ObjectKey | None:
    return images.find_image(view, target) if isinstance(target, Target) else units.find_unit(view, target)


def _exists(view: FleetView, target: Target | UpgradeTarget, key: ObjectKey) -> bool:
    return (view.get(key) if isinstance(target, Target) else view.unit(key)) is not None


def _is_relevant(change: Change, target: Target | UpgradeTarget, key: ObjectKey | None) -> bool:
    if isinstance(target, Target):
        return images.is_relevant(change, target, key)
    return units.is_relevant(change, target, key)
