"""
All metric families, one row each. Pure.

The scrape, the README's table, ``avi-upgrade-monitor metrics`` and the tests are made from this table.
"""

from typing import Final

from monitor.metrics.controller import CONTROLLER_FAMILIES
from monitor.metrics.family import Family, Subject
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.model.health import Health

AnyFamily = Family[Subject] | Family[Health]

FAMILIES: Final[tuple[AnyFamily, ...]] = (*IMAGE_FAMILIES, *CONTROLLER_FAMILIES)
