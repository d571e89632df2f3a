"""`docs/upgrade-watching.md`: the rules are numbered without a gap, and a test names each of them, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/upgrade-watching.md"
NAMED = re.compile(rf"[Rr]ules? ([\d, and]+) of {re.escape(PAGE)}")


def test_each_rule_is_named_by_a_test() -> None:
    rules = [int(number) for number in re.findall(r"^(\d+)\. \*\*", (ROOT / PAGE).read_text(), re.MULTILINE)]
    assert rules == list(range(1, len(rules) + 1))
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    named = {int(number) for text in texts for match in NAMED.finditer(text) for number in re.findall(r"\d+", match[1])}
    assert named == set(rules)
