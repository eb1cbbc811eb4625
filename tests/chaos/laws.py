"""What must hold of a register after whatever went wrong: the laws of SPEC §1, over everything on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.local.sandbox import stripe
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.reporting.books import checking
from tests.chaos.battered import Battered

Fate = Literal["paid", "waiting", "denied", "refunded"]


@dataclass(frozen=True, slots=True)
class Life:
    """A referral of a schedule, what comes of it, and how far the clock of the API is ahead that decides on it."""

    name: str
    fate: Fate
    api_ahead: float


#: Where each may come to rest. What was refunded between its two payments waits for a person with one of them.
ENDS: Final[dict[Fate, frozenset[str]]] = {
    "paid": frozenset({"rewarded"}),
    "waiting": frozenset({"awaiting_approval"}),
    "denied": frozenset({"denied"}),
    "refunded": frozenset({"rewarded", "denied", "clawed_back", "paying"}),
}
_BOTH: Final = [("referee", 800, "paid"), ("referrer", 2500, "paid")]


async def broken(world: Battered, program: str, lives: Sequence[Life], *, audited: bool) -> list[str]:
    """What does not hold, in words. ``audited``: the audit, too, finds nothing in what these referrals were paid."""
    found = [f"{what}: {rows}" for what, statement in _NOTHING.items() if (rows := await world.ask(statement))]
    found += await _of_the_provider(world)
    for each in lives:
        found += await _of_a_life(world, each)
    life = world.cluster.life
    async with life.database.reading() as connection:
        found += [each async for each in checking.problems(connection)]
        found += await decisions.chain_problems(connection, life.keys)
        if audited:
            means, names = Means(life.keys.keys, life.intake.marker), {each.name for each in lives}
            steps = [each async for each in walked(connection, Scope(program), means)]
            told = [one for each in steps for one in (each.findings if isinstance(each, Audited) else (each,))]
            found += [repr(one) for one in told if one.referral is None or one.referral in names]
    return found


#: Statements that must find nothing.
_NOTHING: Final = {
    "two rewards for one role of a referral": "SELECT referral_id, role FROM leg WHERE state <> 'cancelled'"
    " GROUP BY 1, 2 HAVING count(*) > 1",
    "a payout that nobody approved": "SELECT id FROM payout p WHERE NOT EXISTS"
    " (SELECT 1 FROM decision d WHERE d.referral_id = p.referral_id AND d.kind = 'approve')",
    "a credit without its payout, or twice": "SELECT split_part(key, ':', 2) FROM ledger_transaction"
    " WHERE key LIKE 'credited:%' AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.rail = 'account_credit'"
    " AND p.state = 'settled' AND key LIKE 'credited:' || p.id || '%')",
    "a payout settled without its credit": "SELECT id FROM payout p WHERE rail = 'account_credit'"
    " AND state = 'settled' AND 1 <> (SELECT count(*) FROM ledger_transaction t"
    " WHERE t.key LIKE 'credited:' || p.id || '%')",
}


async def _of_the_provider(world: Battered) -> list[str]:
    """Each settled payout has one transfer of its amount under its key, and no transfer is without one."""
    held = sorted((each["transfer_group"], each["amount"]) for each in world.provider.of(stripe.TRANSFER))
    ours = await world.ask(
        "SELECT CAST(provider_key AS text), amount_minor FROM payout"
        " WHERE rail = 'stripe_transfer' AND state = 'settled'"
    )
    return [] if held == sorted(ours) else [f"the provider holds {held}, and settled are {sorted(ours)}"]


async def _of_a_life(world: Battered, life: Life) -> list[str]:
    name = {"r": life.name}
    legs = await world.ask(
        "SELECT role, amount_minor, state FROM leg WHERE referral_id = :r AND state <> 'cancelled' ORDER BY 1", **name
    )
    [(facts,)] = await world.ask(
        "SELECT count(*) FROM referral_fact k JOIN fact f ON f.id = k.fact_id WHERE k.referral_id = :r"
        " AND f.type IN ('referral.sent', 'referral.claimed', 'conversion.recorded', 'conversion.reversed')",
        **name,
    )
    told = 4 if life.fate == "refunded" else 3
    found = [] if facts == told else [f"{life.name} hears of {facts} facts, not of {told}"]
    if life.fate == "paid" and legs != _BOTH:
        found.append(f"{life.name} was paid {legs}")
    if life.fate in ("waiting", "denied") and legs:
        found.append(f"{life.name} is {life.fate}, and was paid {legs}")
    if life.fate == "refunded":
        [(paid, cases)] = await world.ask(
            "SELECT (SELECT count(*) FROM payout WHERE referral_id = :r AND state = 'settled'),"
            " (SELECT count(*) FROM clawback_case WHERE referral_id = :r)",
            **name,
        )
        if paid != cases:
            found.append(f"{life.name} was refunded: {paid} payments, {cases} cases")
    return found
