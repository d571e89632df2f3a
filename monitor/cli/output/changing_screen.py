"""A part of the terminal that is drawn when its content has changed, and not otherwise."""

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from rich.console import Console, RenderableType
from rich.live import Live

_MIN_INTERVAL_S: Final = 0.5  # between two draws: a full screen takes about 30 ms, and more could not be read
_CLOCK_INTERVAL_S: Final = 1.0  # how often the content is looked at although nothing was requested

Content = TypeVar("Content")


class Timer(Protocol):
    """As asyncio.TimerHandle."""

    def cancel(self) -> None:
        """Do not call."""


class Timers(Protocol):
    """As an event loop of asyncio."""

    def time(self) -> float:
        """Return seconds of a monotonic clock."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Call once, after so many seconds."""


class ChangingScreen(Generic[Content]):
    """
    Draws within half a second of a `request_draw`, and looks once a second at what time alone has changed.

    ``content``: what is to be shown now, with all times in the words that are displayed. Equal contents look equal and
    are drawn once. It is called at least once a second, and must be cheap; ``render`` may take its time.
    """

    def __init__(
        self,
        console: Console,
        content: Callable[[], Content],
        render: Callable[[Content], RenderableType],
        timers: Timers,
    ) -> None:
        self._console = console
        self._content = content
        self._render = render
        self._timers = timers
        self._live = Live(console=console, auto_refresh=False)
        self._drawn: tuple[Content, tuple[int, int]] | None = None
        self._looked_at = -_MIN_INTERVAL_S
        self._timer: Timer | None = None

    def request_draw(self) -> None:
        """Draw soon, if the content has changed. The first request begins the screen."""
        if not self._live.is_started:
            self._live.start()
            self._looked_at = self._timers.time() - _MIN_INTERVAL_S
        self._look_in(max(0.0, self._looked_at + _MIN_INTERVAL_S - self._timers.time()))

    def stop(self) -> None:
        """Leave the last screen visible, and draw no more."""
        if self._timer:
            self._timer.cancel()
        if self._live.is_started:
            self._draw_if_changed()
            self._live.stop()

    def _look_in(self, delay_s: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._timers.call_later(delay_s, self._look)

    def _look(self) -> None:
        self._looked_at = self._timers.time()
        self._look_in(_CLOCK_INTERVAL_S)
        self._draw_if_changed()

    def _draw_if_changed(self) -> None:
        width, height = self._console.size
        shown = self._content(), (width, height)
        if shown != self._drawn:
            self._drawn = shown
            self._live.update(self._render(shown[0]), refresh=True)
