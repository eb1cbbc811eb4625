"""A role that may do more than our processes need is named; those that the suite runs by are not."""

import pytest
from sqlalchemy import text

from models.power import excess, sentence
from tests.desk import Desk
from tests.roles import API, MIGRATIONS

REMEDY = "give this process a role of its own (docs/guides/database-roles.md)"


@pytest.mark.parametrize(
    ("superuser", "owned", "changeable", "said"),
    [
        (False, [], [], None),
        (True, ["decision"], ["decision"], "a superuser, who can change every row and every trigger"),
        (False, ["decision"], ["decision"], "the owner of the tables, who can switch off the triggers that keep the"),
        (False, [], ["decision", "fact"], "who may change what only grows (decision, fact)"),
    ],
)
def test_the_worst_is_named(superuser: bool, owned: list[str], changeable: list[str], said: str | None) -> None:
    told = sentence("eve", superuser=superuser, owned=owned, changeable=changeable)
    assert (told is None) is (said is None)
    assert said is None or (told is not None and said in told and told.endswith(REMEDY))


async def test_a_role_is_judged_by_what_postgres_says_of_it(desk: Desk) -> None:
    assert await excess(desk.database.api) is None
    assert await excess(desk.database.worker) is None
    async with desk.database.transaction() as connection:
        [administrator] = (await connection.execute(text("SELECT current_user"))).scalars()
    mighty = f"connects to the database as {administrator}, a superuser, who can change every row and every trigger"
    assert await excess(desk.database) == f"{mighty}; {REMEDY}"
    owner = await excess(desk.database.opened_as(MIGRATIONS))
    assert owner is not None
    assert "the owner of the tables" in owner
    async with desk.database.transaction() as connection:
        await connection.execute(text(f"GRANT UPDATE (act) ON audit_event TO {API}"))
    changes = await excess(desk.database.api)
    assert changes is not None
    assert "who may change what only grows (audit_event)" in changes
