"""The only source of random values: the same seed gives the same uuids, builds, passwords and event times."""

from random import Random  # noqa: TID251  every value below follows from a given seed
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


class SeededRandom:
    """Random values that depend on the seed alone."""

    def __init__(self, seed: str) -> None:
        self._rng = Random(seed)  # noqa: S311  values of a simulation, not secrets

    def uuid(self) -> str:
        """A version 4 UUID."""
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def token(self) -> str:
        """32 hexadecimal digits, as long as the session ids of real Controllers."""
        return f"{self._rng.getrandbits(160):032x}"[:32]

    def uniform(self, low: float, high: float) -> float:
        """A number from low to high."""
        return self._rng.uniform(low, high)

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return self._rng.randint(low, high)

    def choice(self, choices: tuple[T, ...]) -> T:
        """One of the choices."""
        return self._rng.choice(choices)
