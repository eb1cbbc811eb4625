"""Statuses in SQL, as parameters and written out."""

import psycopg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from models.statuses import spelled, statement
from referral_rewards.domain.payouts.states import AT_REST, FREED, OVER, OWED, LegState, PayoutState


@pytest.mark.parametrize(
    ("sql", "statuses", "written"),
    [
        ("state = :paid", {"paid": LegState.PAID}, "state = 'paid'"),
        ("state NOT IN :freed", {"freed": FREED}, "state NOT IN ('cancelled', 'clawed_back')"),
        ("state IN :one", {"one": frozenset({LegState.PAID})}, "state IN ('paid')"),
        ("a = :a AND b::text = :b AND ab = :ab", {"b": "x"}, "a = :a AND b::text = 'x' AND ab = :ab"),
        (
            ":owed, :owed",
            {"owed": OWED},
            "('reserved', 'tax_hold', 'waiting_method'), ('reserved', 'tax_hold', 'waiting_method')",
        ),
    ],
)
def test_statuses_are_written_out_where_they_are_named(sql: str, statuses: dict[str, str], written: str) -> None:
    assert spelled(sql, **statuses) == written


def test_a_set_is_written_in_the_order_of_its_enumeration() -> None:
    """Whatever order a set has in this process: the text is the same in each, and so is its prepared statement."""
    in_order = ", ".join(f"'{each}'" for each in PayoutState if each in AT_REST)
    assert spelled("x IN :at_rest", at_rest=AT_REST) == f"x IN ({in_order})"


@pytest.mark.parametrize("build", [spelled, statement])
def test_a_status_that_the_statement_does_not_name_is_a_bug(build: object) -> None:
    assert callable(build)
    with pytest.raises(Exception, match="paid"):
        build("state = :payed", paid=LegState.PAID)


def test_a_statement_has_its_statuses_as_parameters() -> None:
    built = statement("SELECT 1 WHERE a = :paid AND b = ANY(:owed) AND c = :c", paid=LegState.PAID, owed=OWED)
    compiled = built.compile(dialect=postgresql.dialect())
    assert compiled.params == {"paid": "paid", "owed": ["reserved", "tax_hold", "waiting_method"], "c": None}
    assert "'" not in str(compiled)


async def test_the_database_is_asked_for_one_status_and_for_a_set(database_url: str) -> None:
    engine = create_async_engine(database_url)
    one = statement(
        "SELECT v.state FROM (VALUES ('paid'), ('reserved'), ('tax_hold'), ('cancelled')) AS v(state)"
        " WHERE (v.state = :paid OR v.state = ANY(:owed)) AND v.state <> ALL(:freed) AND v.state <> :not ORDER BY 1",
        paid=LegState.PAID,
        owed=OWED,
        freed=FREED,
    )
    async with engine.begin() as connection:
        found = (await connection.execute(one, {"not": LegState.RESERVED})).scalars().all()
    await engine.dispose()
    assert found == ["paid", "tax_hold"]


@pytest.mark.parametrize(
    ("index", "sql"),
    [
        ("ix_payout_settled", "SELECT id FROM payout WHERE payee = $1 AND state = :settled"),
        ("ix_leg_tax_hold", "SELECT id FROM leg WHERE beneficiary = $1 AND state = :held"),
        ("ix_leg_due", "SELECT id FROM leg WHERE program = $1 AND beneficiary > '' AND state IN :owed"),
        ("ix_payout_under_way", "SELECT id FROM payout WHERE payee = $1 AND state NOT IN :over"),
        ("ix_payout_cycle_moving", "SELECT id FROM payout WHERE cycle_id = CAST($1 AS uuid) AND state NOT IN :at_rest"),
    ],
)
async def test_what_is_written_out_uses_the_index_on_some_of_the_rows(database_url: str, index: str, sql: str) -> None:
    """As a prepared statement is planned for any value; with the statuses as parameters it could not."""
    known = {"settled": PayoutState.SETTLED, "held": LegState.TAX_HOLD, "owed": OWED, "over": OVER, "at_rest": AT_REST}
    name = next(name for name in known if f":{name}" in sql)
    asked = spelled(sql, **{name: known[name]})
    parameter = sql.replace(f"NOT IN :{name}", "<> ALL($2)").replace(f"IN :{name}", "= ANY($2)")
    parameter = parameter.replace(f":{name}", "$2")
    dsn = database_url.replace("postgresql+psycopg", "postgresql")
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("SET enable_seqscan = off")
        plans = []
        for text in (asked, parameter):
            cursor = await connection.execute(f"EXPLAIN (GENERIC_PLAN) {text}".encode(), prepare=False)
            plans.append("\n".join(row[0] for row in await cursor.fetchall()))
    assert index in plans[0]
    assert index not in plans[1]
