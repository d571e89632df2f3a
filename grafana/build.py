"""From the dashboards to the text of their files; the same program gives the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import fleet, image, monitor, upgrade

FOLDER: Final = Path(__file__).parent / "dashboards"
DASHBOARDS: Final[dict[str, Callable[[], Dashboard]]] = {
    "fleet": fleet.dashboard,
    "image": image.dashboard,
    "monitor": monitor.dashboard,
    "upgrade": upgrade.dashboard,
}


def text(name: str) -> str:
    """The file of one dashboard; sorted keys, so that a change of the SDK's own order is no change."""
    return json.dumps(DASHBOARDS[name](), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write them all."""
    for name in DASHBOARDS:
        (folder / f"{name}.json").write_text(text(name), encoding="utf-8")
