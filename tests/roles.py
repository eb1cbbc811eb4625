"""The database's roles in tests: what serves connects as the API or as a worker, and what a test does by hand as an
administrator of the server."""

from typing import Final

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from models.grants import Roles
from models.session import Database, TracedBy
from referral_rewards.personal import PersonalKeys
from tests.snapshots import administer

MIGRATIONS: Final = "the_migrations"
API: Final = "the_api"
WORKER: Final = "the_worker"
ROLES: Final = Roles(API, WORKER)
PASSWORD: Final = "of-a-test"


async def create_roles(url: str) -> None:
    """Creates the three of them on a server."""
    for role in (MIGRATIONS, API, WORKER):
        await administer(url, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")


def as_role(database_url: str, role: str) -> str:
    """The same database, for a role."""
    url = make_url(database_url).set(username=role, password=PASSWORD)
    return url.render_as_string(hide_password=False)


class Register(Database):
    """A database as whoever administers it, and beside it as the API and as workers, each connected once it is used."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        personal: PersonalKeys | None = None,
        traced_by: TracedBy | None = None,
        pooled: bool = False,
    ) -> None:
        super().__init__(engine, personal=personal, traced_by=traced_by, pooled=pooled)
        self._beside: dict[str, Database] = {}

    def opened_as(self, role: str) -> Database:
        """The same database, for a role. It is closed with this one."""
        if role not in self._beside:
            url = self._engine.url.render_as_string(hide_password=False)
            self._beside[role] = Database.at(as_role(url, role), personal=self.personal, pooled=self.pooled)
        return self._beside[role]

    @property
    def api(self) -> Database:
        return self.opened_as(API)

    @property
    def worker(self) -> Database:
        return self.opened_as(WORKER)

    async def close(self) -> None:
        for each in self._beside.values():
            await each.close()
        await super().close()
