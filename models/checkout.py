"""Whether a pooled connection is still good, nearly always told without a round trip to the server."""

import select
import time
from typing import Any, Final

from sqlalchemy import Dialect, Pool, event
from sqlalchemy.exc import InvalidatePoolError

#: A connection that was handed out this recently is judged by its socket alone. What drops connections without a word,
#: such as a firewall, does so after minutes.
_TRUSTED_SECONDS: Final = 30.0
_HANDED_OUT_AT: Final = "handed out at"


def check_before_use(pool: Pool, dialect: Dialect) -> None:
    """Have the pool replace a connection that its server closed. So a restarted server causes no error."""

    def check(connection: Any, record: Any, _: object) -> None:
        now = time.monotonic()
        before = record.info.get(_HANDED_OUT_AT)
        record.info[_HANDED_OUT_AT] = now
        if before is None:
            return  # it was opened just now
        if _was_closed(connection.driver_connection):
            raise InvalidatePoolError
        if now - before > _TRUSTED_SECONDS and not _answers(dialect, connection):
            raise InvalidatePoolError

    event.listen(pool, "checkout", check)


def _answers(dialect: Dialect, connection: Any) -> bool:
    try:
        return dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error:
        return False


def _was_closed(driver: Any) -> bool:
    """Return whether there is something to read on an idle connection: its end, or why its server ended it.

    It may also be a setting that the server changed, which is rare. Then a good connection is replaced.
    """
    if driver.closed:
        return True
    socket = select.poll()
    socket.register(driver.fileno(), select.POLLIN)
    return bool(socket.poll(0))
