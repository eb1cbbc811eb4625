"""A seeded schedule of money: cycles that finance releases, refunds after payment and cases that people decide,
payments that a rail returns days later, and a register that is restored while Temporal and the provider keep what they
know."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import uuid4

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import UNREACHABLE
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.sandbox import stripe
from referral_rewards.register import outbox, overdue
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.outbox import WakeupKind
from tests.chaos.battered import Battered, Fault, WeighedFault
from tests.chaos.money_laws import broken
from tests.chaos.people import FINANCE, RAIL, People
from tests.chaos.restoring import Backups
from tests.chaos.schedules import REST_SECONDS, batter, tell, until_true
from tests.installation import PROGRAM
from tests.workflows.scenes import purchase

Fate = Literal["paid", "refunded", "partly refunded", "charged back", "denied"]
_FATES: Final[Sequence[Fate]] = (
    *("paid", "paid", "paid", "refunded", "refunded", "partly refunded", "charged back", "denied"),
)
_REFERRALS: Final = 4
#: A cycle is opened for so many days before today, and then for the next ones.
_CYCLES_BEGIN_DAYS_AGO: Final = 30


@dataclass(frozen=True, slots=True)
class Reward:
    """A referral of a schedule: whose it is, and what comes of it. ``early``: it does not wait for its payment."""

    name: str
    referrer: str
    fate: Fate
    early: bool


async def prepare(world: Battered) -> None:
    """The people of finance."""
    for name in FINANCE:
        await world.cluster.life.user(name, Role.FINANCE)


async def run(world: Battered, seed: int) -> None:
    """Live one schedule.

    Raises:
        AssertionError: naming the law that does not hold, and everything that happened.
    """
    world.chance.seed(f"money {seed}")
    world.log.clear()
    world.told.clear()
    chance, of = world.chance, f"m{seed}"
    rewards = [
        Reward(
            f"{of}-{n}", f"d-{of}-{chance.randrange(2)}", chance.choice(_FATES) if n else "paid", chance.random() < 0.3
        )
        for n in range(_REFERRALS)
    ]
    in_cycles = chance.random() < 0.75
    denied = frozenset(each.name for each in rewards if each.fate == "denied")
    people, backups = People(world, f"cash-{of}", of, denied), Backups(world)
    steps = _restores(backups, people, [chance.random() < 0.5 for _ in range(chance.choice([0, 1, 1, 1, 2]))])
    world.note("schedule", seed, "in cycles" if in_cycles else "at once", [(e.name, e.fate, e.early) for e in rewards])
    await _publish(world, people.program, in_cycles=in_cycles)
    await world.fully_manned()
    try:
        async with asyncio.TaskGroup() as tasks:
            living = [tasks.create_task(_live(world, each, chance.uniform(0, 3))) for each in rewards]
            around = [
                tasks.create_task(_decide(people)),
                tasks.create_task(_open_cycles(world, people.program, in_cycles)),
            ]
            await batter(world, [*world.faults(of), *_of_money(world, of)], living, steps)
            for each in around:
                each.cancel()
        await _at_rest(world, people, in_cycles=in_cycles)
        found = await broken(world, people, backups)
    except* (AssertionError, TimeoutError) as errors:
        raise AssertionError("\n".join([*map(str, errors.exceptions), *world.log])) from errors
    assert not found, "\n".join([*found, *world.log])


def _restores(backups: Backups, people: People, by_the_guide: Sequence[bool]) -> list[Fault]:
    """For each restore a backup, and some time later the restore."""

    def restore(*, guided: bool) -> Fault:
        async def restored() -> None:
            await backups.restore(by_the_guide=guided)
            people.mood += backups.world.chance.random() < 0.3

        return restored

    return [step for guided in by_the_guide for step in (backups.take, restore(guided=guided))]


def _of_money(world: Battered, of: str) -> list[WeighedFault]:
    async def bounce() -> None:
        await _bounce(world, of)

    return [(4, "settlement returned", bounce)]


async def _bounce(world: Battered, of: str) -> None:
    """Somebody at the provider takes back all of a payment, and tells us by a webhook."""
    ours = {payout for (payout,) in await world.ask(_PAYOUTS, program=f"cash-{of}", rail=RAIL)}
    whole = [
        each
        for each in world.provider.of(stripe.TRANSFER)
        if each["metadata"].get("payout") in ours and not each["amount_reversed"]
    ]
    if not whole:
        return
    transfer = world.chance.choice(whole)
    world.note("the rail returns", transfer["id"], "of payout", transfer["metadata"]["payout"])
    world.did["settlement returned indeed"] += 1
    headers = {"Authorization": f"Bearer {stripe.KEY}", "Stripe-Version": "any", "Idempotency-Key": str(uuid4())}
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{world.ports['provider']}/v1/transfers/{transfer['id']}/reversals"
        (await client.post(url, headers=headers)).raise_for_status()

    async def wake(connection: AsyncConnection) -> None:
        payout = transfer["metadata"]["payout"]
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, payout, payout)

    await world.through(wake, unless=_never)


async def _publish(world: Battered, program: str, *, in_cycles: bool) -> None:
    source = PROGRAM.read_text().replace("acme-friends", program).replace("kind: credit\n", "kind: cash\n")
    source = re.sub(r"  rails: \{.*\}", f"  rails: {{cash: {RAIL}, credit: account_credit}}", source)
    if in_cycles:
        source = source.replace("timing: immediate", "timing: {cycle: monthly, day: 15}")
    await world.cluster.life.publish(source)


async def _live(world: Battered, reward: Reward, pause: float) -> None:
    await asyncio.sleep(pause)
    name, referrer, program = reward.name, reward.referrer, f"cash-{reward.name.partition('-')[0]}"
    referee = {"customer": f"c-{name}", "email": f"{name}@example.com"}
    terms = {"referrer": referrer, "program": program}
    who = {"customer": f"c{referrer}", "email": f"{referrer}@example.org"}
    method = {"payee": referrer, "rail": RAIL, "reference": f"acct_{referrer.replace('-', '')}"}
    await tell(
        world,
        ("referrer.enrolled", 300, {**terms, **who}),
        ("payee.method_set", 200, method),
        ("referral.sent", 60, {"referral": name, **terms, "channel": "email", "referee": referee}),
        ("referral.claimed", 50, {"referral": name, "referee": referee, "consent": True}),
        ("conversion.recorded", 40, purchase(name, f"o-{name}")),
    )
    if reward.fate in ("paid", "denied"):
        return
    if not reward.early:
        await until_true(lambda: _is_there(world, _PAID, name), REST_SECONDS, lambda: world.ask(_WHERE, of=name))
    await asyncio.sleep(pause / 2)
    order = {"order": f"o-{name}"}
    match reward.fate:
        case "refunded":
            await tell(world, ("conversion.reversed", 0.1, {**order, "kind": "refund"}))
        case "partly refunded":
            part = {**order, "kind": "refund", "amount": "20.00", "currency": "USD"}
            await tell(world, ("conversion.reversed", 0.1, part))
        case _:
            await tell(world, ("conversion.dispute_opened", 0.2, {**order, "dispute": f"x-{name}"}))
            await asyncio.sleep(pause)
            await tell(world, ("conversion.dispute_closed", 0.1, {**order, "dispute": f"x-{name}", "outcome": "lost"}))


async def _decide(people: People) -> None:
    """People look at what stands before them, now and then."""
    while True:
        await people.turn()
        await asyncio.sleep(people.world.chance.uniform(0.2, 1.0))


async def _open_cycles(world: Battered, program: str, in_cycles: bool) -> None:
    while in_cycles:
        await asyncio.sleep(world.chance.uniform(1.5, 4))
        if await _is_there(world, _DUE, program):
            await _open_cycle(world, program)


async def _open_cycle(world: Battered, program: str) -> None:
    """Opens the next cycle, unless one is under way. The day of one that a restore took is the next again."""

    async def opened(connection: AsyncConnection) -> None:
        days = {day for (day,) in await world.ask(_DAYS, program=program)}
        begin = datetime.now(UTC) - timedelta(days=_CYCLES_BEGIN_DAYS_AGO)
        at = next(each for n in range(99) if (each := begin + timedelta(days=n)).date() not in days)
        await cycles.open_early(connection, program, at.replace(hour=20))
        world.note("a cycle is opened for", at.date())

    if not await _is_there(world, _UNDER_WAY, program):
        await world.through(opened, unless=_never)


async def _at_rest(world: Battered, people: People, *, in_cycles: bool) -> None:
    """Returns once everything is whole again, nothing moves, and nothing stands before a person that one can do."""
    world.note("everything is whole again")
    world.mend()
    pushed, still = 0.0, 0

    async def there() -> bool:
        nonlocal pushed, still
        await world.fully_manned()
        if (now := asyncio.get_running_loop().time()) - pushed > 4:
            pushed = now
            await _push(world, people)
        moves = bool(await world.ask(_MOVES, program=people.program, of=f"{people.of}-%"))
        if await people.turn(nothing_moves=not moves) or moves:
            still = 0
            return False
        if in_cycles and await _is_there(world, _DUE, people.program):
            await _open_cycle(world, people.program)
            still = 0
            return False
        still += 1
        return still > 2 and not await _is_there(world, _UNDER_WAY, people.program)

    await until_true(there, REST_SECONDS, lambda: _where(world, people))


async def _where(world: Battered, people: People) -> object:
    moves = await world.ask(_MOVES, program=people.program, of=f"{people.of}-%")
    stands = [await world.ask(_WHERE, of=f"{people.of}-%"), await world.ask(_STEPS, program=people.program)]
    return "\n".join(map(str, [moves, *stands[0], *stands[1], people.refusals]))


async def _push(world: Battered, people: People) -> None:
    """What time alone would bring: the next look at what is unknown, and the sweep of what lags."""
    with suppress(*UNREACHABLE):
        async with world.cluster.life.database.transaction() as connection:
            for (payout,) in await world.ask(_PAYOUTS, program=people.program, rail=RAIL):
                await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, payout, payout)  # type: ignore[arg-type]
            await overdue.sweep(connection, datetime.now(UTC) + timedelta(days=2))


async def _is_there(world: Battered, statement: str, named: str) -> bool:
    return bool(await world.ask(statement, named=named))


async def _never() -> bool:
    return False


_PAID: Final = "SELECT 1 FROM leg WHERE referral_id = :named AND state = 'paid'"
_DAYS: Final = "SELECT due_on FROM payout_cycle WHERE program = :program"
_UNDER_WAY: Final = "SELECT 1 FROM payout_cycle WHERE program = :named AND state <> 'done'"
_PAYOUTS: Final = "SELECT CAST(id AS text) FROM payout WHERE body->>'program' = :program AND rail = :rail"
#: A reward that is owed and that no payout is to pay.
_DUE: Final = """
SELECT 1 FROM leg l WHERE l.program = :named AND l.state = 'reserved'
  AND NOT EXISTS (SELECT 1 FROM payout_leg pl WHERE pl.leg_id = l.id AND pl.live)
"""
_MOVES: Final = """
SELECT 'payout ' || state, why FROM payout
WHERE body->>'program' = :program AND state IN ('planned', 'approved', 'sending', 'unknown', 'accepted')
  AND NOT EXISTS (SELECT 1 FROM restored_rail h WHERE h.rail = payout.rail AND h.reopened_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM forgotten_payment f WHERE f.rail = payout.rail AND f.payee = payout.payee
                  AND f.assigned_to IS NULL AND f.disowned_at IS NULL AND payout.state = 'approved')
UNION ALL SELECT 'clawback ' || state, NULL FROM clawback
WHERE referral_id LIKE :of AND state IN ('approved', 'reversing', 'unknown')
UNION ALL SELECT 'cycle ' || state, NULL FROM payout_cycle WHERE program = :program AND state = 'collecting'
UNION ALL SELECT 'reconciliation ' || state, NULL FROM reconciliation WHERE state IN ('asked', 'listing', 'comparing')
UNION ALL SELECT 'wake-up ' || kind, target FROM outbox
UNION ALL SELECT 'to judge', referral_id FROM to_judge WHERE referral_id LIKE :of
UNION ALL SELECT 'referral ' || id, NULL FROM referral WHERE id LIKE :of AND judged_version < facts_version
"""
_WHERE: Final = """
SELECT r.id, r.status, r.judged_version, r.facts_version, l.role, l.state, p.rail, p.state, p.why, p.due_at, c.due_on,
       c.state
FROM referral r LEFT JOIN leg l ON l.referral_id = r.id LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
LEFT JOIN payout p ON p.id = pl.payout_id LEFT JOIN payout_cycle c ON c.id = p.cycle_id
WHERE r.id LIKE :of ORDER BY 1, 5
"""
_STEPS: Final = """
SELECT s.at, s.payout_id, s.generation, s.act, s.state, s.reference, s.why FROM payout_step s
JOIN payout p ON p.id = s.payout_id WHERE p.body->>'program' = :program AND p.rail <> 'account_credit' ORDER BY s.id
"""
