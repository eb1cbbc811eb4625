"""Views of the queue that users save under a name: the filters, as the query string of the page's URL."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.register import typed_rows

NAME_LENGTH_MAX: Final = 60
_EACH_MAX: Final = 50


class SavedView(NamedTuple):
    """A view's name, and the filters as a query string."""

    name: str
    query: str


async def of_user(connection: AsyncConnection, username: str) -> Sequence[SavedView]:
    """Return a user's views, sorted by name."""
    return await typed_rows.read(connection, SavedView, _OF_USER, {"user": username})


async def save(connection: AsyncConnection, username: str, name: str, query: str) -> None:
    """Save a view, replacing one of the same name.

    Raises:
        RequestInvalid: if the name is empty, too long or not printable, or the user has too many views.
    """
    if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise RequestInvalid(f"the name of a view has 1 to {NAME_LENGTH_MAX} characters", "name")
    if len([each for each in await of_user(connection, username) if each.name != name]) >= _EACH_MAX:
        raise RequestInvalid(f"you already have {_EACH_MAX} views; delete one first", "name")
    await connection.execute(_SAVE, {"user": username, "name": name, "query": query})


async def delete(connection: AsyncConnection, username: str, name: str) -> None:
    """Delete a view if it exists."""
    await connection.execute(_DELETE, {"user": username, "name": name})


_OF_USER: Final = text("SELECT name, query FROM saved_view WHERE username = :user ORDER BY name")

_SAVE: Final = text("""
INSERT INTO saved_view (username, name, query) VALUES (:user, :name, :query)
ON CONFLICT (username, name) DO UPDATE SET query = excluded.query
""")

_DELETE: Final = text("DELETE FROM saved_view WHERE username = :user AND name = :name")
