"""Every benchmark runs, at a scale at which its figures mean nothing."""

import pytest

from tests.benchmarks.__main__ import MEASURES, rows_of
from tests.benchmarks.measure import TINY, table

pytestmark = pytest.mark.unmeasured


@pytest.mark.parametrize("name", MEASURES)
async def test_a_benchmark_runs(name: str) -> None:
    rows = await rows_of(name, TINY)
    lines = table(rows).splitlines()

    assert all(row.figure > 0 for row in rows)
    assert len(lines) == len(rows) + 1 > 1
