"""The rate limit of the portal."""

from monitor.simulator.rate_limit import LeakyBucket
from monitor.simulator.specs import RateLimit


def test_requests_above_the_rate_wait_and_those_beyond_the_burst_are_rejected() -> None:
    bucket = LeakyBucket(RateLimit(per_second=10.0, burst=3))
    assert [bucket.reserve(1.0) for _ in range(4)] == [0.0, 0.1, 0.2, None]


def test_the_bucket_empties_with_time() -> None:
    bucket = LeakyBucket(RateLimit(per_second=10.0, burst=1))
    assert (bucket.reserve(1.0), bucket.reserve(1.0), bucket.reserve(1.2)) == (0.0, None, 0.0)
