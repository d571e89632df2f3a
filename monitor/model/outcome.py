"""How a PATCH ended."""

from typing import Final, Literal, get_args

OutcomeKind = Literal["done", "refused", "failed", "unknown"]
"""
How an intent ended. ``refused``: by us or by the Controller, nothing was changed. ``failed``: nothing was changed, as
the way to the Controller failed. ``unknown``: it was sent and no answer came, or one that tells nothing, or we died.
"""

OUTCOME_KINDS: Final = get_args(OutcomeKind)
