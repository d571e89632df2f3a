"""Whether a database works for this daemon, and as what: the writer or a standby. Each change is logged once."""

import structlog

from monitor.model.errors import CommitUnknown, DatabaseTaken, StoreError
from monitor.store.locks import TAKEN


class DatabaseStatus:
    """
    ``up``: whether this daemon is the writer, and the database works.

    A failed operation sets it to False; only `mark_up` sets it to True again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._log = structlog.get_logger().bind(database=name)
        self._down_logged = False
        self.up = False
        self.error = StoreError("the database has not been opened yet")
        """Why it is down, or was down last."""

    @property
    def standby(self) -> bool:
        """Whether another daemon is the writer, and what it writes can be read."""
        return not self.up and isinstance(self.error, DatabaseTaken)

    @property
    def cause(self) -> str:
        """The error as text."""
        return str(self.error)

    def require_up(self) -> None:
        """Raises: StoreError of the kind that is known, at once, when the database is known to be down."""
        if not self.up:
            raise type(self.error)(self.cause)

    def mark_up(self) -> None:
        """Note that the database works again."""
        if self._down_logged:
            self._log.warning("database_up")
        elif self.standby:
            self._log.info("became_writer")
        self._down_logged, self.up = False, True

    def mark_standby(self) -> None:
        """Note that another daemon is the writer, and that what it writes can be read."""
        if not self.standby:
            self._log.info("became_standby")
        self.error = DatabaseTaken(TAKEN)
        self._down_logged, self.up = False, False

    def mark_down(self, error: Exception) -> StoreError:
        """
        Note that the database failed, and log it unless it was down before.

        Returns: the error as a StoreError.
        """
        if isinstance(error, CommitUnknown) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # unknown was that commit; later changes are known not to be made
        self.error = error if isinstance(error, StoreError) else StoreError(_cause_of(error))
        if not self._down_logged:
            self._log.warning("database_down", cause=self.cause)
        self._down_logged, self.up = True, False
        return self.error


def _cause_of(error: Exception) -> str:
    """Return the message of the database, without the statement and its values."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0][:200]
