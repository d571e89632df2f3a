"""A failed exchange with a Controller as the outcome of a PATCH, and as the reply to the client. Pure."""

from typing import Final

from monitor.model.errors import BadAnswer, PatchProblem, PollError, ProblemKind, Unanswered, Unavailable
from monitor.model.outcome import OutcomeKind

PASSED_THROUGH: Final = frozenset({400, 403, 404, 409, 412, 422})
"""Statuses with which a Controller speaks about the request; they become the status of our reply."""

DEFAULT_RETRY_AFTER_S: Final = 30  # where the Controller does not say when to retry


def classify_failure(controller: str, error: PollError) -> tuple[OutcomeKind, PatchProblem]:
    """Return the outcome for the audit, and the problem for the client."""
    if error.phase == "patch" and isinstance(error, Unanswered | BadAnswer):
        detail = f"the request was sent to {controller}, but no usable reply came ({error.detail}); check the image"
        return "unknown", PatchProblem("outcome-unknown", detail)
    if isinstance(error, Unavailable):
        headers = {"Retry-After": str(round(error.retry_after_s or DEFAULT_RETRY_AFTER_S))}
        kind: ProblemKind = "controller-upgrading" if error.reason == "upgrading" else "controller-busy"
        return "refused", PatchProblem(
            kind, f"nothing was changed: {controller} replied {error.detail}", headers=headers
        )
    if error.phase == "patch" and error.reason == "http_4xx":
        status = error.status if error.status in PASSED_THROUGH else 422
        return "refused", PatchProblem(
            "controller-refused", f"{controller} refused the change: {error.detail}", status=status or 422
        )
    if error.phase == "patch" and error.reason == "http_5xx":  # a gateway's 502 says nothing about the Controller
        detail = f"{controller} failed ({error.detail}), and may have made the change or not; check the image"
        return "unknown", PatchProblem("controller-failed", detail)
    return "failed", PatchProblem("controller-failed", f"{controller} failed ({error.reason}): {error.detail}")
