"""A seeded schedule: some referrals are lived while a battered cluster has one fault after another."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from models.session import UNREACHABLE
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outbox, overdue
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from tests.chaos.battered import FAR, Battered, Fault, WeighedFault
from tests.chaos.laws import ENDS, Fate, Life, broken
from tests.installation import PROGRAM
from tests.workflows.scenes import days_ago, purchase

TERMS: Final = "cash-friends"
_FATES: Final[Sequence[Fate]] = ("paid", "paid", "paid", "waiting", "denied", "refunded")
_REFERRALS: Final = 3
SECONDS: Final = 8.0
#: What is left to do once everything is whole again has this long.
REST_SECONDS: Final = 180.0
_APPROVERS: Final = frozenset({Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS})


async def publish(world: Battered) -> None:
    """Terms by which the referrer is paid in cash by a provider, and the referee in credit by ourselves."""
    source = PROGRAM.read_text().replace("acme-friends", TERMS).replace("kind: credit\n", "kind: cash\n")
    rails = "  rails: {cash: stripe_transfer, credit: account_credit}"
    await world.cluster.life.publish(re.sub(r"  rails: \{.*\}", rails, source))


async def run(world: Battered, seed: int) -> None:
    """Live one schedule.

    Raises:
        AssertionError: naming the law that does not hold, and everything that happened.
    """
    world.chance.seed(f"schedule {seed}")
    world.log.clear()
    world.told.clear()
    chance, name = world.chance, f"s{seed}"
    # Whoever decides sits at an API with a clock of its own.
    lives = [
        Life(f"{name}-{n}", chance.choice(_FATES) if n else "paid", chance.choice(world.clocks))
        for n in range(_REFERRALS)
    ]
    world.note("schedule", seed, [(each.name, each.fate) for each in lives])
    await world.fully_manned()
    try:
        async with asyncio.TaskGroup() as tasks:
            living = [tasks.create_task(_live(world, each, chance.uniform(0, 3))) for each in lives]
            await batter(world, world.faults(name), living)
        await _at_rest(world, name, lives)
        found = await broken(world, TERMS, lives, audited=world.clocks is not FAR)
    except* (AssertionError, TimeoutError) as errors:
        raise AssertionError("\n".join([*map(str, errors.exceptions), *world.log])) from errors
    assert not found, "\n".join([*found, *world.log])


async def batter(
    world: Battered,
    faults: Sequence[WeighedFault],
    living: Sequence["asyncio.Task[None]"],
    steps: Sequence[Fault] = (),
) -> None:
    """Fault after fault for some seconds, and then now and then until the referrals were lived. ``steps`` come between
    them in their order, spread over these seconds."""
    chance, loop = world.chance, asyncio.get_running_loop()
    end = loop.time() + SECONDS
    due = sorted((chance.uniform(end - SECONDS, end) for _ in steps), reverse=True)
    left = list(reversed(steps))
    while loop.time() < end or left or not all(each.done() for each in living):
        if due and loop.time() >= due[-1]:
            due.pop()
            await left.pop()()
        elif loop.time() < end or chance.random() < 0.1:
            _, what, fault = chance.choices(faults, [weight for weight, _, _ in faults])[0]
            world.did[what] += 1
            await fault()
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        await world.fully_manned()


async def _live(world: Battered, life: Life, pause: float) -> None:
    await asyncio.sleep(pause)
    referrer, referee = f"d-{life.name}", {"customer": f"c-{life.name}", "email": f"{life.name}@example.com"}
    terms = {"referrer": referrer, "program": TERMS}
    who = {"customer": f"cd-{life.name}", "email": f"{referrer}@example.org"}
    method = {"payee": referrer, "rail": "stripe_transfer", "reference": f"acct_{life.name.replace('-', '')}"}
    sent = {"referral": life.name, **terms, "channel": "email", "referee": referee}
    await tell(
        world,
        ("referrer.enrolled", 300, {**terms, **who}),
        ("payee.method_set", 200, method),
        ("referral.sent", 60, sent),
        ("referral.claimed", 50, {"referral": life.name, "referee": referee, "consent": True}),
        ("conversion.recorded", 40, purchase(life.name, f"o-{life.name}")),
    )
    if life.fate == "waiting":
        return
    await _until(world, "SELECT 1 FROM referral WHERE id = :r AND status = 'awaiting_approval'", life.name)
    await _decide(world, life)
    if life.fate == "refunded":
        await asyncio.sleep(pause / 2)
        await tell(world, ("conversion.reversed", 0.1, {"order": f"o-{life.name}", "kind": "refund"}))


async def tell(world: Battered, *told: tuple[str, float, dict[str, Any]]) -> None:
    """Facts that occurred so many days ago, told as often as it takes to have them acknowledged."""
    life = world.cluster.life
    events: list[tuple[Event, datetime]] = [
        (life.event(kind, days_ago(at), data), days_ago(at)) for kind, at, data in told
    ]

    world.told += events
    await world.send(events)


async def _decide(world: Battered, life: Life) -> None:
    kind = DecisionKind.DENY if life.fate == "denied" else DecisionKind.APPROVE
    at = datetime.now(UTC) + timedelta(seconds=life.api_ahead)

    async def decided() -> bool:
        return bool(await world.ask("SELECT 1 FROM decision WHERE referral_id = :r", r=life.name))

    async def decide(connection: Any) -> None:
        row = await referrals.hold(connection, life.name)
        claim, _ = await claims.current(connection, row.claim_id)
        new = NewDecision(
            referral=life.name,
            claim_id=row.claim_id,
            digest=claim.digest,
            kind=kind,
            user="olga",
            roles=_APPROVERS,
            reason="terms_met",
            note="looked at it",
            details=None,
            decided_at=at,
        )
        made = await decisions.append(connection, new, world.cluster.life.signer)
        await outbox.enqueue(connection, WakeupKind.DECISION, life.name, made.id)

    await world.through(decide, unless=decided)
    world.note(kind, life.name, "at an API that is ahead by", life.api_ahead)


async def _at_rest(world: Battered, name: str, lives: Sequence[Life]) -> None:
    """Returns once everything is whole again and each referral has come to where it stays."""
    world.note("everything is whole again")
    world.mend()
    pushed = 0.0

    async def there() -> bool:
        nonlocal pushed
        await world.fully_manned()
        if (now := asyncio.get_running_loop().time()) - pushed > 5:
            pushed = now
            await _push(world, name)
        stands = dict(await world.ask(_STAND, of=f"{name}-%"))
        return not await world.ask(_MOVES, of=f"{name}-%") and all(
            stands.get(each.name) in ENDS[each.fate] for each in lives
        )

    await until_true(there, REST_SECONDS, lambda: world.ask(_WHERE, of=f"{name}-%"))


async def _push(world: Battered, name: str) -> None:
    """What time alone would bring: the next look at what is unknown, and the sweep of what lags."""
    with suppress(*UNREACHABLE):
        async with world.cluster.life.database.transaction() as connection:
            for (payout,) in await world.ask(_UNKNOWN, of=f"{name}-%"):
                await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(payout), payout)
            await overdue.sweep(connection, datetime.now(UTC) + timedelta(days=2))


async def _until(world: Battered, statement: str, referral: str) -> None:
    async def found() -> bool:
        return bool(await world.ask(statement, r=referral))

    await until_true(found, REST_SECONDS, lambda: world.ask(_WHERE, of=referral))


async def until_true(
    condition: Callable[[], Awaitable[bool]], seconds: float, where: Callable[[], Awaitable[object]]
) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"it does not come to rest: {await where()}") from None


_STAND: Final = "SELECT id, status FROM referral WHERE id LIKE :of AND judged_version = facts_version"
#: A payment that a refund met, whose request was lost, is looked up each hour until a person says what became of it.
_MOVES: Final = """
SELECT state FROM payout
WHERE referral_id LIKE :of AND state IN ('planned', 'approved', 'sending', 'unknown', 'accepted')
  AND (state <> 'unknown' OR due_at < pg_catalog.now() + interval '10 minutes')
UNION ALL SELECT kind FROM outbox WHERE target LIKE :of
"""
_UNKNOWN: Final = "SELECT id FROM payout WHERE referral_id LIKE :of AND state IN ('approved', 'sending', 'unknown')"
_WHERE: Final = """
SELECT r.id, r.status, r.judged_version, r.facts_version, p.rail, p.state, p.why, p.due_at FROM referral r
LEFT JOIN payout p ON p.referral_id = r.id WHERE r.id LIKE :of
"""
