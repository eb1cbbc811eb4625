"""Load everything that an attempt to pay depends on, under its locks (`domain.payouts.attempt` decides on it)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import key_releases, redirects
from referral_rewards.domain.decisions.key_releases import Replaced
from referral_rewards.domain.payouts.attempt import Dossier
from referral_rewards.domain.payouts.history import held_to
from referral_rewards.domain.payouts.moving import not_its_key
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.referrals.case import payable_since
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.domain.restores.forgotten import stance
from referral_rewards.register import rail_halts
from referral_rewards.register.cycles import sending as cycle_sending
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import evidence, grounds, pausing, returning
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.grounds import Grounds
from referral_rewards.register.payouts.rows import Held
from referral_rewards.register.restores import assigning


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an attempt is decided from, the rows that saving it needs, and the ids of forged decisions."""

    dossier: Dossier
    stored: Payout
    rows: Sequence[Referral]
    grounds: Grounds
    forged: tuple[UUID, ...] = ()


async def load(
    connection: AsyncConnection, known: Payout, now: datetime, keys: KeyRing, rails: frozenset[str]
) -> Loaded | None:
    """Lock the payout with its referrals, payee and cycle, and return what an attempt depends on; None if there is no
    such payout. ``known`` is its row by which the locks are chosen."""
    if known.cycle_id is None:
        held, cycle = await payout_rows.hold(connection, known.id), None
    else:
        rows = await payout_rows.hold_referrals(connection, known.id)
        cycle = await cycle_sending.hold(connection, known)
        held = Held(rows, await payout_rows.hold_alone(connection, known.id))
    if (stored := held.row) is None:
        return None
    its = await grounds.load(connection, stored, held.referrals, keys)
    payout = held_to(stored, its.dates)
    dossier = Dossier(
        payout=payout,
        known=known,
        now=now,
        locked=held.named,
        named=_named(payout, its) or held.named,
        strangers=its.strangers,
        cycle=await cycle_sending.standing(connection, payout, cycle, keys),
        flaw=_flaw_of_its_key(payout, its) or await assigning.flaw(connection, its.forgotten, payout.id, keys),
        halt=its.halt,
        connected=payout.rail in rails,
        stance=stance(payout, its.after, its.forgotten, now, _sendable_since(payout, held.referrals, its, now)),
        paused=pausing.paused(held.referrals, its.pasts, now),
    )
    return Loaded(dossier, stored, held.referrals, its)


def _sendable_since(payout: Payout, rows: Sequence[Referral], its: Grounds, now: datetime) -> datetime | None:
    """Return since when it can have been sent under its current key, whatever a restored register forgot: since that
    key was released or, of the first one, since the first of its return periods ended. None: nobody knows, or nothing
    was restored."""
    if its.after is None:
        return None
    if payout.generation > 1:
        return next((each.at for each in its.steps if each.generation == payout.generation), None)
    ends = [payable_since(row, its.pasts.get(row.id), now) for row in rows]
    return min((each for each in ends if each is not None), default=None) if None not in ends else None


def _named(payout: Payout, its: Grounds) -> tuple[str, ...]:
    """Return the referrals that a payout pays, in locking order; none if it pays no leg any more. Then those are locked
    whose legs it was to pay."""
    made_for = {payout.referral_id} if its.legs and payout.referral_id is not None else set()
    return tuple(sorted(made_for | {leg.referral_id for leg in its.legs}))


def _flaw_of_its_key(payout: Payout, its: Grounds) -> str | None:
    """Return in one sentence why the payout must not be sent under its key; None if it may."""
    if (why := not_its_key(payout)) is not None:
        return why
    if its.settled_already:
        return "the books show that it was settled already"
    # Who was barred since had the authority when they signed, as with a retry.
    bound = redirects.in_force(its.redirected, ())
    replaced = Replaced(its.replaced, since=its.approved_at_number)
    return key_releases.not_released(payout, its.steps, its.own, bound, replaced)


async def examined(
    connection: AsyncConnection, loaded: Loaded, answers: Mapping[str, Answers], keys: KeyRing
) -> Loaded:
    """Return the same with the evidence for its approval."""
    its, payout, now = loaded.dossier, loaded.dossier.payout, loaded.dossier.now
    if payout.returns is not None:
        found = await returning.examine(connection, payout, loaded.rows, loaded.grounds, now, keys)
        return replace(loaded, dossier=replace(its, evidence=found))
    gathered = await evidence.gather(connection, payout, loaded.rows, loaded.grounds, answers, now, keys)
    found = evidence.examine(payout, loaded.rows, loaded.grounds, gathered, now)
    forged = tuple(each for referral in gathered.dossiers for each in loaded.grounds.made_on(referral).forged)
    return replace(loaded, dossier=replace(its, evidence=found), forged=forged)


async def at_its_probe(connection: AsyncConnection, loaded: Loaded) -> Loaded:
    """Return the same with the halt of its rail as it is now, which stays locked: only one attempt probes the rail."""
    halt = await rail_halts.hold(connection, loaded.dossier.payout.rail)
    return replace(loaded, dossier=replace(loaded.dossier, halt=halt))
