"""The state machine of ``watch``: takes the items of the stream, updates the display, and knows when the wait ends."""

from collections.abc import Callable, Sequence
from typing import assert_never

from msgspec.structs import replace

from monitor.cli.api.responses import ConnectionLost, WaitTimeout
from monitor.cli.api.subscription import Connected, StreamItem
from monitor.cli.api.view import Change, Message, apply
from monitor.cli.output.display import Display
from monitor.cli.output.target import EndState, Target, WatchState, find_image, has_reached, is_relevant, wait_timeout
from monitor.config.validation import quoted


class Watcher:
    """``until``: the state that ends the wait; None: watch for ever. ``monotonic``: the client's own clock."""

    def __init__(
        self, target: Target, until: EndState | None, display: Display, monotonic: Callable[[], float]
    ) -> None:
        self._until = until
        self._display = display
        self._monotonic = monotonic
        self._state = WatchState(target)
        self._has_said_not_found = False

    def handle(self, item: StreamItem) -> bool:
        """
        Update the display, and return whether the target has reached the state that is waited for.

        Raises: TargetFailed; Rejected when several images match; ServerError for an image that cannot be decoded.
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
        state, target, until = self._state, self._state.target, self._until
        view, changes = apply(state.view, message, received_at=self._monotonic())
        # A wait stays with the image that was found. Without a wait, a removed image may be replaced by another.
        keeps_key = state.key and (until or view.get(state.key))
        key = state.key if keeps_key else find_image(view, target)
        self._state = replace(state, view=view, key=key)
        keys = {key, state.key} - {None} or {None}
        self._update_display([change for change in changes if any(is_relevant(change, target, each) for each in keys)])
        self._notify_not_found()
        return until is not None and key is not None and has_reached(view, key, until)

    def timeout_error(self) -> WaitTimeout:
        """Return the error for the end of the timeout."""
        return wait_timeout(self._state, now=self._daemon_now())

    def _daemon_now(self) -> float:
        return self._state.now(self._monotonic())

    def _update_display(self, changes: Sequence[Change]) -> None:
        self._display.update(self._state, changes, now=self._daemon_now())

    def _notify_not_found(self) -> None:
        """Notify once: a new upload appears with the next poll."""
        image = self._state.target.image
        if image and self._state.key is None and not self._has_said_not_found:
            self._has_said_not_found = True
            self._display.notify(f"no image with the uuid or name {quoted(image)} yet; waiting for it")
