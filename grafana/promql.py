"""
The PromQL that several panels share.

Every query takes the maximum over its identity first: two daemons may watch the same Controllers (an HA pair), and a
join of doubled series is an error in Prometheus.
"""

from typing import NamedTuple

IMAGE = "controller, image_uuid"
IMAGES = 'resource="image"'
"""Matches the reads of images, which decide whether a poll was good, and not those of upgrade status."""

EVENT_CODES = {"pending": 1, "running": 2, "succeeded": 3, "failed": 4}
IMAGE_CODES = {"unknown": 1, "started": 2, "in_progress": 3, "completed": 4, "failed": 5}
"""States as numbers, because a timeline draws numbers; the worse is the higher, and wins where two daemons differ."""


class Scope(NamedTuple):
    """The matchers of a dashboard; a call with a family returns the selector."""

    matchers: str

    def __call__(self, family: str, *more: str) -> str:
        """``family{matchers, more}``."""
        return f"{family}{{{', '.join((self.matchers, *more))}}}"

    def each(self, family: str, *more: str, by: str = IMAGE) -> str:
        """One sample for each identity."""
        return f"max by ({by}) ({self(family, *more)})"

    def active(self) -> str:
        """The images that are being processed, each 1."""
        return f"({self.each('avi_image_state', is_in('started|in_progress'))} == 1)"

    def failed(self) -> str:
        """The failed images, each 1."""
        return f"({self.each('avi_image_state', is_in('failed'))} == 1)"

    def image_code(self) -> str:
        """The state of each image as one of ``IMAGE_CODES``."""
        return self._code("avi_image_state", IMAGE_CODES, IMAGE)

    def event_code(self, by: str) -> str:
        """The state of each task on each node as one of ``EVENT_CODES``."""
        return self._code("avi_image_node_event_state", EVENT_CODES, by)

    def named(self, query: str) -> str:
        """The same with the image's name; one name while a rename has reached one daemon of two."""
        names = f"topk by ({IMAGE}) (1, {self('avi_image_info')})"
        return f"{query}\n* on ({IMAGE}) group_left (image) {names}"

    def time_left(self) -> str:
        """Seconds to the end at the average pace since the start; no series without a start from the Controller."""
        gone = f"(time() - {self.each('avi_image_start_timestamp_seconds')})"
        return f"clamp_min({gone} * (1 / ({self.each('avi_image_progress_ratio')} > 0) - 1), 0)"

    def seconds_without_move(self) -> str:
        """Seconds since progress, a task or an event moved; no series where the Controller reports none of them."""
        since = f"clamp_min(time() - {self.each('avi_image_progress_changed_timestamp_seconds')}, 0)"
        moving = ("avi_image_progress_ratio", "avi_image_tasks_completed", "avi_image_node_events")
        return f"({since} and ({' or '.join(self.each(family) for family in moving)}))"

    def _code(self, family: str, codes: dict[str, int], by: str) -> str:
        coded = (f"{code} * ({self(family, is_in(state))} == 1)" for state, code in codes.items())
        return f"max by ({by}) (\n  " + "\n  or ".join(coded) + "\n)"


def is_in(states: str) -> str:
    """A matcher: the state is one of these, written ``a|b``."""
    return f'state{"=~" if "|" in states else "="}"{states}"'


def of(query: str, images: str) -> str:
    """Keep the samples of the query whose images are in the other query."""
    return f"{query}\nand on ({IMAGE}) {images}"


def count(query: str) -> str:
    """Count the samples; 0 rather than no series if there are none."""
    return f"count({query}) or vector(0)"
