"""
Writes the part of the chart's ``values.schema.json`` that describes the daemon's own config, from the daemon itself.

All other parts are written by hand. Run it after a change of a config key:
``.venv/bin/python -m deploy.kubernetes.values_schema``
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from monitor.config.settings import schema

PATH: Final = Path(__file__).parent / "chart" / "values.schema.json"
_NOT_EMPTY: Final = "(?=[0-9])"  # of a duration; Helm is written in Go, whose patterns cannot look ahead


def main() -> None:
    """Write the file again."""
    written = with_config_of_daemon(msgspec.json.decode(PATH.read_bytes()))
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")


def with_config_of_daemon(values: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the values with the daemon's present definitions; ``config`` refers to them."""
    return {**values, "$defs": _for_helm(schema()["$defs"])}


def _for_helm(tree: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    if isinstance(tree, list | tuple):
        return [_for_helm(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    copied = {key: _for_helm(value) for key, value in tree.items()}
    if _NOT_EMPTY in str(copied.get("pattern")):
        copied |= {"pattern": copied["pattern"].replace(_NOT_EMPTY, ""), "minLength": 1}
    return copied


if __name__ == "__main__":
    main()
