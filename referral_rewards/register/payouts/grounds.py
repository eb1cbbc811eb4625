"""Everything that a payout is verified from, loaded in one statement under its locks; none of it is believed yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.ledger import Deduction
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.decisions import redirects
from referral_rewards.domain.payouts.history import Dates, Step
from referral_rewards.domain.payouts.moving import Halt
from referral_rewards.domain.payouts.payout import Leg, PaidLeg, Payout
from referral_rewards.domain.referrals.case import Past
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.domain.restores.forgotten import AfterRestore, Forgotten
from referral_rewards.register import payout_history, rail_halts
from referral_rewards.register.books import ledger
from referral_rewards.register.books.ledger import Settlement
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.chain import Decision, End
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import deductions
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.payees.rows import Heard
from referral_rewards.register.referrals.cases import pasts, pasts_of
from referral_rewards.register.restores import forgotten
from referral_rewards.register.sight import SIGHT


@dataclass(frozen=True, slots=True)
class Verified:
    """The verified decisions on a referral, oldest first, and the ids of rows that do not verify."""

    genuine: tuple[Decision, ...] = ()
    forged: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a payout is verified from.

    ``dates`` come from its history, and ``settlements`` are what the books show for each generation of its key.
    ``told`` are the tax forms of its payee. ``pasts`` are those of its referrals, ``claims`` their current ones by
    id, and ``made`` the decisions on them, by referral. ``people`` are those who signed or claim to have, with
    whether each is barred; who is no user is left out. ``strangers`` are the ids of referrals that it names and that
    do not exist. If its key had earlier generations, ``steps`` are its history, ``own`` the decisions on it, and
    ``replaced`` the legs that it paid under earlier approvals.
    ``redirected`` are the verified decisions on where its payee is paid, oldest first.
    ``after`` is the newest restore that halted its rail, and ``forgotten`` the payments that the rail shows and the
    register had forgotten.
    """

    dates: Dates
    legs: tuple[PaidLeg, ...]
    strangers: frozenset[str]
    steps: tuple[Step, ...]
    own: tuple[Decision, ...]
    settlements: tuple[Settlement, ...]
    halt: Halt | None
    deductions: tuple[Deduction, ...]
    told: tuple[Heard, ...]
    pasts: Mapping[str, Past]
    claims: Mapping[UUID, StoredClaim]
    made: Mapping[str, Verified]
    people: Mapping[str, bool]
    end: End | None
    redirected: tuple[Decision, ...]
    replaced: tuple[Leg, ...]
    after: AfterRestore | None
    forgotten: tuple[Forgotten, ...]

    def made_on(self, referral: str) -> Verified:
        return self.made.get(referral, Verified())

    @property
    def approved_at_number(self) -> int:
        """The number of the newest approval of what it pays now; 0 if nobody approved it."""
        its = {leg.claim_id for leg in self.legs}
        made = [each for verified in self.made.values() for each in verified.genuine]
        return max((e.seq for e in made if e.kind is DecisionKind.APPROVE and e.claim_id in its), default=0)

    @property
    def settled_already(self) -> bool:
        """Whether the books show that it was settled under any key, and did not come back."""
        return any(each.stands is not None for each in self.settlements)


async def load(connection: AsyncConnection, payout: Payout, referrals: Collection[Referral], keys: KeyRing) -> Grounds:
    """Return what a payout is verified from. The caller holds its row and the rows of its ``referrals``."""
    generations = range(1, payout.generation + 1)
    booked = ledger.keys_of(payout.id, generations)
    asked = {"id": payout.id, "generation": payout.generation, "rail": payout.rail, "payee": payout.payee}
    asked |= {"referrals": [row.id for row in referrals], "keys": booked}
    asked |= {"payee_decisions": redirects.listed_under(payout.payee)}
    asked |= {"claims": [str(row.claim_id) for row in referrals if row.claim_id is not None]}
    row = (await connection.execute(_GROUNDS, asked)).one()
    posted = ledger.Loaded.of(booked, row.posted)
    return Grounds(
        dates=Dates(row.planned_at, row.first_sent_at, row.key_used_at),
        legs=_LEGS.validate_python(row.legs),
        strangers=frozenset(row.strangers),
        steps=payout_history.steps(row.steps or ()),
        own=chain.verified(row.own or (), keys)[0],
        settlements=tuple([await ledger.settlement(connection, payout.id, each, posted) for each in generations]),
        halt=_HALT.validate_python(row.halt),
        deductions=deductions.of(row.deductions),
        told=payees.told(row.told),
        pasts=await pasts_of(connection, row.pasts, keys),
        claims={each.id: each for each in _CLAIMS.validate_python(row.claims)},
        made=_by_referral(row.made, keys),
        people=row.people,
        end=End.of(row.chain_end),
        redirected=chain.verified(row.redirected, keys)[0],
        replaced=_REPLACED.validate_python(row.replaced or ()),
        after=forgotten.after_restore(row.after),
        forgotten=forgotten.of(row.forgotten),
    )


def _by_referral(made: Sequence[Mapping[str, Any]], keys: KeyRing) -> Mapping[str, Verified]:
    documents: dict[str, list[Mapping[str, Any]]] = {}
    for each in made:
        documents.setdefault(each["referral_id"], []).append(each)
    return {referral: Verified(*chain.verified(its, keys)) for referral, its in documents.items()}


_LEGS: Final = TypeAdapter(tuple[PaidLeg, ...])
_REPLACED: Final = TypeAdapter(tuple[Leg, ...])
_CLAIMS: Final = TypeAdapter(tuple[StoredClaim, ...])
_HALT: Final = TypeAdapter(Halt | None)

_GROUNDS: Final = text(f"""
SELECT dates.*, {SIGHT}, {ledger.POSTED} AS posted, {deductions.LIVE} AS deductions, {payees.TOLD} AS told,
       {forgotten.AFTER} AS after, {forgotten.OPEN} AS forgotten,
       {chain.END} AS chain_end, {pasts("CAST(:referrals AS text[])")} AS pasts, (
    SELECT coalesce(json_agg(to_jsonb(l) || jsonb_build_object('others', ARRAY(
        SELECT o.payout_id FROM payout_leg o WHERE o.leg_id = l.id AND o.payout_id <> :id
    )) ORDER BY l.id), '[]')
    FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = :id AND pl.live
) AS legs, ARRAY(
    SELECT named.id FROM (
        SELECT l.referral_id AS id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
        WHERE pl.payout_id = :id AND pl.live
        UNION SELECT referral_id FROM payout WHERE id = :id AND referral_id IS NOT NULL
    ) AS named WHERE NOT EXISTS (SELECT 1 FROM referral r WHERE r.id = named.id)
) AS strangers, CASE WHEN :generation > 1 THEN (
    SELECT json_agg(step) FROM ({payout_history.STEPS}) AS step
) END AS steps, CASE WHEN :generation > 1 THEN (
    SELECT json_agg(linked ORDER BY linked.seq) FROM ({chain.LINKED} WHERE d.claim_id = :id) AS linked
) END AS own, CASE WHEN :generation > 1 THEN (
    SELECT json_agg(to_jsonb(l) ORDER BY l.id)
    FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = :id AND NOT pl.live
) END AS replaced, (
    SELECT to_json(halt) FROM ({rail_halts.HALT}) AS halt
) AS halt, (
    SELECT coalesce(json_agg(to_jsonb(c)), '[]')
    FROM reward_claim c WHERE c.id = ANY(CAST(:claims AS uuid[]))
) AS claims, (
    SELECT coalesce(json_agg(linked ORDER BY linked.seq), '[]')
    FROM ({chain.LINKED} WHERE d.referral_id = ANY(CAST(:referrals AS text[]))) AS linked
) AS made, (
    SELECT coalesce(json_object_agg(u.name, u.barred_at IS NOT NULL), '{{}}') FROM app_user u
    WHERE u.name IN (
        SELECT d.username FROM decision d
        WHERE d.referral_id = ANY(CAST(:referrals AS text[]) || CAST(:payee_decisions AS text))
    )
) AS people, (
    SELECT coalesce(json_agg(linked ORDER BY linked.seq), '[]')
    FROM ({chain.LINKED} WHERE d.referral_id = :payee_decisions) AS linked
) AS redirected
FROM ({payout_history.DATES}) AS dates
""")  # noqa: S608 (queries of ours alone)
