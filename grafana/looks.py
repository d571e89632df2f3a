"""How values are shown: texts and colours of states, thresholds, and the properties of single columns."""

from typing import Final, NamedTuple

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
BLUE, PALE, PURPLE, GREY = "blue", "light-blue", "purple", "#808080"


class Shade(NamedTuple):
    """How one value is shown."""

    value: int
    text: str
    color: str


IMAGE_STATES: Final = (
    Shade(1, "unknown", PURPLE),
    Shade(2, "started", PALE),
    Shade(3, "in progress", BLUE),
    Shade(4, "completed", GREEN),
    Shade(5, "failed", RED),
)
EVENT_STATES: Final = (
    Shade(1, "pending", GREY),
    Shade(2, "running", BLUE),
    Shade(3, "succeeded", GREEN),
    Shade(4, "failed", RED),
)
UNIT_STATES: Final = (
    Shade(1, "idle", GREY),
    Shade(2, "completed", GREEN),
    Shade(3, "checked", GREEN),
    Shade(4, "queued", GREY),
    Shade(5, "checking", PALE),
    Shade(6, "running", BLUE),
    Shade(7, "unknown", PURPLE),
    Shade(8, "aborting", ORANGE),
    Shade(9, "check failed", ORANGE),
    Shade(10, "suspended", YELLOW),
    Shade(11, "failed", RED),
)
PHASES: Final = (
    Shade(1, "none", GREY),
    Shade(2, "checking", PALE),
    Shade(3, "Controllers", BLUE),
    Shade(4, "away", PURPLE),
    Shade(5, "Service Engines", BLUE),
    Shade(6, "suspended", YELLOW),
    Shade(7, "rolling back", ORANGE),
)
ENGINE_STATES: Final = {  # by the value of the label; in the order in which they are stacked
    "completed": Shade(1, "completed", GREEN),
    "skipped": Shade(2, "skipped", PALE),
    "in_progress": Shade(3, "in progress", BLUE),
    "not_started": Shade(4, "not started", GREY),
    "suspended": Shade(5, "suspended", YELLOW),
    "failed": Shade(6, "failed", RED),
}
HEALTH: Final = (
    Shade(1, "up", GREEN),
    Shade(2, "upgrading", BLUE),
    Shade(3, "down", ORANGE),
    Shade(4, "stale", RED),
    Shade(5, "log-in suspended", PURPLE),
)
GOOD: Final = (Shade(0, "no", RED), Shade(1, "yes", GREEN))
BAD: Final = (Shade(0, "no", "transparent"), Shade(1, "YES", RED))
BUSY: Final = (Shade(0, "no", "transparent"), Shade(1, "yes", BLUE))
DONE: Final = (Shade(0, "not done", BLUE), Shade(1, "done", GREEN))
PINNED: Final = (Shade(0, "not in use", GREY), Shade(1, "in use", BLUE))
READABLE: Final = (Shade(0, "NO", ORANGE), Shade(1, "yes", "transparent"))
WITHDRAWN: Final = (Shade(0, "shown", GREEN), Shade(1, "withdrawn", RED))
STORE: Final = (Shade(0, "down", RED), Shade(1, "up", GREEN))
CONFIG: Final = (Shade(0, "bad", RED), Shade(1, "good", GREEN))
ACKNOWLEDGED: Final = (
    Shade(0, "no", ORANGE),
    Shade(1, "yes", GREEN),
)  # orange, not red: the failure itself is shown elsewhere

STALLED_AFTER_S: Final = 600.0  # without a move: the default of `stalled_after`, and the number of the alert
STALL: Final = ((STALLED_AFTER_S, RED),)
UNIT_STALL: Final = ((900.0, YELLOW), (1500.0, RED))  # one task of the Controllers may take that long; a Service Engine
AWAY: Final = ((600.0, YELLOW), (1200.0, RED))  # a reboot of the Controllers takes up to ten minutes


def mapped(shades: tuple[Shade, ...]) -> list[ValueMapping]:
    """Return the value mappings of a panel."""
    results = {
        str(shade.value): ValueMappingResult(text=shade.text, color=shade.color, index=place)
        for place, shade in enumerate(shades)
    }
    return [ValueMap(options=results)]


def thresholds(*steps: tuple[float, str], base: str = GREEN) -> ThresholdsConfig:
    """Return thresholds: ``base`` below the first step; a step is a value and the colour from there on."""
    first = Threshold(value=None, color=base)
    rest = (Threshold(value=value, color=color) for value, color in steps)
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([first, *rest])


def prop(name: str, value: object) -> DynamicConfigValue:
    """One property of a column or series."""
    return DynamicConfigValue(id_val=name, value=value)


def unit(name: str, decimals: int | None = None) -> tuple[DynamicConfigValue, ...]:
    """Set the unit, by Grafana's name, and the number of decimals."""
    return (prop("unit", name), *(() if decimals is None else (prop("decimals", decimals),)))


def colored(*shades: Shade) -> tuple[DynamicConfigValue, ...]:
    """A cell with a state: text instead of the number, the colour behind it."""
    return prop("mappings", mapped(shades)), _cell("color-background"), prop("custom.align", "center")


def warned(*steps: tuple[float, str]) -> tuple[DynamicConfigValue, ...]:
    """A cell whose text takes a colour from a value on."""
    return prop("thresholds", thresholds(*steps, base="text").build()), _cell("color-text")


def ends(*steps: tuple[float, str]) -> tuple[DynamicConfigValue, ...]:
    """A cell whose text has a colour below a value: the first step's at the bottom, none from the last on."""
    colors = [color for _, color in steps]
    above = zip((limit for limit, _ in steps), (*colors[1:], "text"), strict=True)
    return prop("thresholds", thresholds(*above, base=colors[0]).build()), _cell("color-text")


def bar(color: str = BLUE) -> tuple[DynamicConfigValue, ...]:
    """A cell with a bar from 0 to 1."""
    return (
        *unit("percentunit", 0),
        prop("min", 0),
        prop("max", 1),
        prop("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}),
        prop("color", {"mode": "fixed", "fixedColor": color}),
        prop("custom.minWidth", 200),
    )


def series_color(color: str) -> list[DynamicConfigValue]:
    """Set the colour of one series of a graph."""
    return [prop("color", {"mode": "fixed", "fixedColor": color})]


def linked(title: str, url: str) -> tuple[DynamicConfigValue, ...]:
    """A cell with a link."""
    return (prop("links", [{"title": title, "url": url}]),)


HIDDEN: Final = (prop("custom.hidden", value=True),)  # the column is there only for links that use its field


def width(pixels: int) -> tuple[DynamicConfigValue, ...]:
    """Set the width of a column; columns without one share the rest."""
    return (prop("custom.width", pixels),)


def _cell(kind: str) -> DynamicConfigValue:
    return prop("custom.cellOptions", {"type": kind})
