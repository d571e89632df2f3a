"""The outcome of a PATCH."""

from typing import Final, Literal, get_args

OutcomeKind = Literal["done", "refused", "failed", "unknown"]
"""
How a PATCH ended that was recorded in the audit log before it was sent.

``done``: the change was made. ``refused``: the daemon or the Controller rejected it, nothing was changed.
``failed``: the Controller or the database failed before the change was sent, nothing was changed. ``unknown``: the
request was sent, and no conclusive response came before the timeout or the end of the daemon; or the database failed
in the commit of annotations.
"""

OUTCOME_KINDS: Final = get_args(OutcomeKind)
