"""Views of the queue that people save under a name: what they asked for, as it stands in the page's address."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid

NAME_LENGTH_MAX: Final = 60
_EACH_MAX: Final = 50


async def of_user(connection: AsyncConnection, username: str) -> Sequence[Any]:
    """A user's views by their names: name, query."""
    return (await connection.execute(_OF_USER, {"user": username})).all()


async def save(connection: AsyncConnection, username: str, name: str, query: str) -> None:
    """Saves a view; one of that name is replaced.

    Raises:
        RequestInvalid: for a name that is none, or if there are too many.
    """
    if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise RequestInvalid(f"the name of a view has 1 to {NAME_LENGTH_MAX} characters", "name")
    if len([each for each in await of_user(connection, username) if each.name != name]) >= _EACH_MAX:
        raise RequestInvalid(f"you already have {_EACH_MAX} views; delete one first", "name")
    await connection.execute(_SAVE, {"user": username, "name": name, "query": query})


async def delete(connection: AsyncConnection, username: str, name: str) -> None:
    """Forgets a view; where there is none nothing changes."""
    await connection.execute(_DELETE, {"user": username, "name": name})


_OF_USER: Final = text("SELECT name, query FROM saved_view WHERE username = :user ORDER BY name")

_SAVE: Final = text("""
INSERT INTO saved_view (username, name, query) VALUES (:user, :name, :query)
ON CONFLICT (username, name) DO UPDATE SET query = excluded.query
""")

_DELETE: Final = text("DELETE FROM saved_view WHERE username = :user AND name = :name")
