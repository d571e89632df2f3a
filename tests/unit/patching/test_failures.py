"""What a failed exchange with a Controller means: the outcome in the audit, and the reply to the client."""

import pytest

from monitor.model.errors import BadAnswer, BadStatus, PollError, Unanswered, Unavailable, Unreachable
from monitor.patching.failures import classify_failure


@pytest.mark.parametrize(
    ("error", "outcome", "kind", "status"),
    [
        (Unanswered("timeout", "x", phase="patch"), "unknown", "outcome-unknown", 0),
        (Unanswered("connect", "x", phase="patch"), "unknown", "outcome-unknown", 0),
        (BadAnswer("oversize", "x", phase="patch"), "unknown", "outcome-unknown", 0),
        (Unanswered("timeout", "x", phase="image"), "failed", "controller-failed", 0),
        (Unanswered("timeout", "x", phase="login"), "failed", "controller-failed", 0),
        (Unreachable("dns", "x", phase="patch"), "failed", "controller-failed", 0),
        (Unavailable("upgrading", "x", phase="patch", status=403), "refused", "controller-upgrading", 0),
        (Unavailable("throttled", "x", phase="image", status=429), "refused", "controller-busy", 0),
        (BadStatus("http_4xx", "x", phase="patch", status=400), "refused", "controller-refused", 400),
        (BadStatus("http_4xx", "x", phase="patch", status=405), "refused", "controller-refused", 422),
        (BadStatus("http_4xx", "x", phase="image", status=400), "failed", "controller-failed", 0),
        (BadStatus("http_5xx", "x", phase="patch", status=502), "unknown", "controller-failed", 0),
        (BadStatus("http_5xx", "x", phase="image", status=500), "failed", "controller-failed", 0),
        (BadStatus("auth", "x", phase="patch", status=401), "failed", "controller-failed", 0),
        (BadStatus("redirect", "x", phase="patch", status=302), "failed", "controller-failed", 0),
    ],
    ids=str,
)
def test_a_failed_exchange_is_an_outcome_and_a_refusal(error: PollError, outcome: str, kind: str, status: int) -> None:
    found, refusal = classify_failure("dc1", error)
    assert (found, refusal.kind, refusal.status) == (outcome, kind, status)
    assert "dc1" in refusal.detail


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "30"), (7.0, "7")], ids=["not-said", "said"])
def test_a_retry_after_of_the_controller_is_passed_on(seconds: float, header: str) -> None:
    _, refusal = classify_failure("dc1", Unavailable("upgrading", "x", phase="patch", retry_after_s=seconds))
    assert refusal.headers["Retry-After"] == header
