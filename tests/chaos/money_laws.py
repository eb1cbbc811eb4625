"""What must hold of a register whose money moved to and fro, whatever went wrong meanwhile."""

from typing import Final

from sqlalchemy import text

from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.local.sandbox import stripe
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.reporting.books import checking
from tests.chaos.battered import Battered
from tests.chaos.people import RAIL, People
from tests.chaos.restoring import Backups
from tests.oracle_of_queue import as_kept, by_reading_everything


async def broken(world: Battered, people: People, backups: Backups) -> list[str]:
    """What does not hold, in words."""
    given = {"program": people.program, "of": f"{people.of}-%"}
    found = []
    for what, statement in _NOTHING.items():
        named = {name: value for name, value in given.items() if f":{name}" in statement}
        if rows := await world.ask(statement, **named):
            found.append(f"{what}: {rows}")
    found += await _of_the_provider(world)
    found += await _of_the_restores(world, backups)
    life = world.cluster.life
    async with life.database.reading() as connection:
        found += [each async for each in checking.problems(connection)]
        found += await decisions.chain_problems(connection, life.keys)
        means = Means(life.keys.keys, life.intake.marker)
        async for each in walked(connection, Scope(people.program), means):
            found += [repr(one) for one in (each.findings if isinstance(each, Audited) else (each,))]
        await connection.execute(text("SET LOCAL search_path = public, test_clock, pg_catalog"))
        kept, read = [[tuple(each) for each in await of(connection)] for of in (as_kept, by_reading_everything)]
        found += [f"the queue holds {kept}, and reading everything comes to {read}"] if kept != read else []
    return found


async def _of_the_provider(world: Battered) -> list[str]:
    """Each key paid once at most, and the books hold exactly what the provider paid and did not take back.

    What a person disowned belongs to no payout of ours.
    """
    transfers = world.provider.of(stripe.TRANSFER)
    keys = [each["transfer_group"] for each in transfers]
    twice = sorted({each for each in keys if keys.count(each) > 1})
    found = [f"paid twice under one key: {twice}"] if twice else []
    disowned = {
        name for (name,) in await world.ask("SELECT reference FROM forgotten_payment WHERE disowned_at IS NOT NULL")
    }
    gone = sum(each["amount"] - each["amount_reversed"] for each in transfers if each["id"] not in disowned)
    [(booked,)] = await world.ask(_CLEARED, account=f"clearing:{RAIL}")
    if gone != booked:
        per = {row[0]: row[1:] for row in await world.ask(_PAYOUTS, rail=RAIL)}
        shown = [
            (
                each["id"],
                each["transfer_group"],
                each["amount"],
                each["amount_reversed"],
                per.get(each["metadata"]["payout"]),
            )
            for each in transfers
        ]
        found.append(f"{gone} went over the rail, and the books hold {booked}: {shown}, disowned {disowned}")
    return found


async def _of_the_restores(world: Battered, backups: Backups) -> list[str]:
    """A restore that the mark or a person tells of is on record, and its rail was halted until somebody reopened it."""
    if not backups.found:
        return []
    rows = await world.ask("SELECT restore, reopened_at FROM restored_rail WHERE rail = :rail", rail=RAIL)
    if not rows:
        return [f"restore {backups.found} is not on record"]
    [(restore, reopened_at)] = rows
    found = [] if restore >= backups.found else [f"restore {backups.found} is not on record, only {restore}"]
    return found if reopened_at is not None else [*found, f"{RAIL} is still halted"]


_CLEARED: Final = "SELECT CAST(coalesce(-sum(amount_minor), 0) AS bigint) FROM posting WHERE account = :account"
_PAYOUTS: Final = "SELECT CAST(id AS text), state, amount_minor, generation, why FROM payout WHERE rail = :rail"

#: Statements that must find nothing.
_NOTHING: Final = {
    "two rewards for one role of a referral": "SELECT referral_id, role FROM leg"
    " WHERE state NOT IN ('cancelled', 'clawed_back') GROUP BY 1, 2 HAVING count(*) > 1",
    "a reward that two payouts pay": "SELECT leg_id FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id"
    " WHERE p.state = 'settled' AND pl.live GROUP BY 1 HAVING count(*) > 1",
    "paid without the approval of somebody who had the authority": """
        SELECT p.id, l.referral_id
        FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id JOIN leg l ON l.id = pl.leg_id
        WHERE p.state IN ('settled', 'returned') AND pl.live AND NOT EXISTS (
            SELECT 1 FROM decision d WHERE d.referral_id = l.referral_id AND d.kind = 'approve'
              AND CASE WHEN l.kind = 'cash' THEN 'finance' ELSE 'program_owner' END = ANY(d.roles))""",
    "paid in a cycle that finance did not release": """
        SELECT p.id FROM payout p WHERE p.cycle_id IS NOT NULL AND p.settled_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM decision d WHERE d.claim_id = p.cycle_id AND d.kind = 'release_cycle'
              AND 'finance' = ANY(d.roles))
        """,
    "a return without a decision of finance": """
        SELECT p.id FROM payout p WHERE p.returns IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM decision d WHERE d.claim_id = p.returns AND d.kind = 'return_clawback'
              AND 'finance' = ANY(d.roles))""",
    "more was taken back of a reward than was paid": """
        SELECT l.id, l.amount_minor, sum(b.recovered_minor) FROM leg l JOIN clawback b ON b.leg_id = l.id
        WHERE NOT EXISTS (SELECT 1 FROM payout p JOIN clawback_case c ON c.id = p.returns WHERE c.leg_id = l.id)
        GROUP BY 1, 2 HAVING sum(b.recovered_minor) > l.amount_minor""",
    "a referral that is stuck": """
        SELECT r.id, r.status, (SELECT json_agg(l) FROM leg l WHERE l.referral_id = r.id) FROM referral r
        WHERE r.id LIKE :of AND r.closed_at IS NULL AND r.wake_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM queue_entry q WHERE q.referral_id = r.id)
          AND NOT EXISTS (SELECT 1 FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
                          JOIN payout p ON p.id = pl.payout_id
                          WHERE l.referral_id = r.id AND p.due_at IS NOT NULL)""",
    "an undecided case that stands before nobody": """
        SELECT c.id FROM clawback_case c WHERE c.referral_id LIKE :of AND c.state = 'open'
          AND NOT EXISTS (SELECT 1 FROM queue_entry q WHERE q.referral_id = c.referral_id)""",
    "a payout that waits for a person and stands before nobody": """
        SELECT p.id, p.state FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id AND pl.live
        JOIN leg l ON l.id = pl.leg_id
        WHERE p.body->>'program' = :program AND p.state IN ('refused', 'returned', 'manual_review')
          AND NOT EXISTS (SELECT 1 FROM queue_entry q WHERE q.referral_id = l.referral_id)""",
}
