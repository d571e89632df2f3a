"""The documentation: the README, and the pages of docs."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text()
DOCUMENTATION: Final = "\n".join([README, *(path.read_text() for path in sorted((ROOT / "docs").rglob("*.md")))])
"""All of it as one text."""


def page(path: str) -> str:
    """The text of a page of docs."""
    return (ROOT / "docs" / path).read_text()
