"""The one source of chance: the same seed gives the same uuids, builds, passwords and event times."""

from random import Random  # noqa: TID251  the simulator's own composition root: every number below hangs on a given seed
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


class Seeded:
    """A stream of choices that depends on its seed alone."""

    def __init__(self, seed: str) -> None:
        self._rng = Random(seed)  # noqa: S311  chance for a simulation, not for a secret

    def uuid(self) -> str:
        """A version 4 UUID."""
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def token(self) -> str:
        """32 letters and digits, the length of the cookies that real Controllers set."""
        return f"{self._rng.getrandbits(160):032x}"[:32]

    def between(self, low: float, high: float) -> float:
        """Any number from low to high."""
        return self._rng.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return self._rng.randint(low, high)

    def pick(self, choices: tuple[T, ...]) -> T:
        """One of them."""
        return self._rng.choice(choices)
