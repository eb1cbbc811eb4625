"""People who decide on whatever stands before them, by the rules of the register and by a plan of their own.

They look, like people, at the register as it is: what a restore took from it they decide again.
"""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import NEEDS_AMOUNT, REASONS, ActSubject, MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused, NotFound
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.local.sandbox import stripe
from referral_rewards.register import outbox
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from tests.chaos.battered import Battered

_A = MoneyAct
_K = SubjectKind
RAIL: Final = "stripe_transfer"
FINANCE: Final = ("fay", "finn", "fritz")
#: What people mean to do about a case, each in the order in which they try.
_PLANS: Final = (
    ((_A.REVERSE_CLAWBACK, 1.0),),
    ((_A.REVERSE_CLAWBACK, 0.4), (_A.WRITE_OFF_CLAWBACK, 1.0)),
    ((_A.REVERSE_CLAWBACK, 0.5), (_A.OFFSET_CLAWBACK, 1.0)),
    ((_A.OFFSET_CLAWBACK, 1.0),),
    ((_A.OFFSET_CLAWBACK, 0.5), (_A.REVERSE_CLAWBACK, 1.0)),
    ((_A.WRITE_OFF_CLAWBACK, 1.0),),
    ((_A.DISMISS_CLAWBACK, 0.0),),
)


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before a person. ``told`` names it the same in each run of a schedule."""

    kind: SubjectKind
    id: UUID
    told: str
    state: str


@dataclass
class People:
    """Those who decide on a program, whose referrals' ids begin with ``of``. ``denied`` are those they deny."""

    world: Battered
    program: str
    of: str
    denied: frozenset[str]
    mood: int = 0  # after a restore they may mean to do otherwise
    refusals: dict[str, str] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)

    async def turn(self, *, nothing_moves: bool = False) -> int:
        """Decide on everything that stands before them, and return how many decisions were recorded.

        What needs somebody to look again is done once ``nothing_moves``.
        """
        made = 0
        for referral, claim, digest in await self.world.ask(_CLAIMS, program=self.program, of=f"{self.of}-%"):
            made += await self._claim(referral, claim, digest)
        for row in await self.world.ask(_STANDING, program=self.program, of=f"{self.of}-%"):
            made += await self._money(Before(SubjectKind(row[0]), *row[1:]))
        made += await self._rail(nothing_moves=nothing_moves)
        if nothing_moves and not made and not await self.world.ask(_HALTED, rail=RAIL):
            made += await self._forgotten()
        return made

    async def _claim(self, referral: str, claim: UUID, digest: str) -> bool:
        kind = DecisionKind.DENY if referral in self.denied else DecisionKind.APPROVE
        given = {"claim": claim, "digest": digest, "user": "olga"}

        async def known() -> bool:
            return bool(await self.world.ask(_DECIDED, **given))

        async def decide(connection: AsyncConnection) -> None:
            row = await referrals.hold(connection, referral)
            if row.claim_id != claim:
                return
            current, _ = await claims.current(connection, claim)
            if current.digest != digest:
                return
            new = NewDecision(
                referral=referral, claim_id=claim, digest=digest, kind=kind, user="olga", roles=_BOTH,
                reason="terms_met", note="looked at it", details=None, decided_at=datetime.now(UTC),
            )  # fmt: skip
            made = await decisions.append(connection, new, self.world.cluster.life.signer)
            await outbox.enqueue(connection, WakeupKind.DECISION, referral, made.id)

        if await known():
            return False
        await self.world.through(decide, unless=known)
        self.world.note("olga", kind, referral)
        return True

    async def _money(self, before: Before) -> bool:
        shown = await self._shown(before.kind, before.id)
        if shown is None:
            return False
        able = shown.takes - shown.obstacles.keys()
        match before.kind:
            case SubjectKind.CYCLE:
                act = self._on_cycle(before, able)
            case SubjectKind.PAYOUT:
                act = self._on_payout(before, able)
            case SubjectKind.CLAWBACK_CASE:
                act = await self._on_case(before, able, shown)
            case _:
                raise AssertionError(before)
        return act is not None and await self._act(act[0], before, shown, **act[1])

    def _on_cycle(self, before: Before, able: frozenset[MoneyAct]) -> "_Act | None":
        if _A.RESUME_CYCLE in able:
            return _A.RESUME_CYCLE, {}
        # A list that somebody stopped and resumed is released at the next turn.
        first = self._chance(before.told).random() < 0.2 and before.told not in self.refusals
        if first and _A.STOP_CYCLE in able:
            self.refusals[before.told] = "stopped once"
            return _A.STOP_CYCLE, {}
        return (_A.RELEASE_CYCLE, {}) if _A.RELEASE_CYCLE in able else None

    def _on_payout(self, before: Before, able: frozenset[MoneyAct]) -> "_Act | None":
        """They look at the provider, and say what it shows."""
        if _A.SETTLE_PAYOUT in able:
            shown = self.payments_of(str(before.id))
            paid = [each for each in shown if each["amount_reversed"] < each["amount"]]
            return (_A.SETTLE_PAYOUT, {"reference": paid[0]["id"]}) if paid else (_A.REFUSE_PAYOUT, {})
        # What stops again after a retry pays something that is owed no more.
        again = before.state == "manual_review" and str(before.id) in self.retried
        wanted = _A.CANCEL_PAYOUT if again or self._chance(before.told).random() < 0.25 else _A.RETRY_PAYOUT
        self.retried.add(str(before.id))
        either = (wanted, _A.RETRY_PAYOUT, _A.CANCEL_PAYOUT)
        return next(((each, {}) for each in either if each in able), None)

    async def _on_case(self, before: Before, able: frozenset[MoneyAct], shown: ActSubject) -> "_Act | None":
        if _A.SETTLE_CLAWBACK in able:
            taken = await self._taken_in_doubt(before.id)
            return (_A.REFUSE_CLAWBACK, {}) if taken is None else (_A.SETTLE_CLAWBACK, {"reference": taken})
        chance = self._chance(before.told)
        if before.state == "decided":
            back = _A.RETURN_CLAWBACK in able and chance.random() < 0.4
            return (
                (_A.RETURN_CLAWBACK, {"amount_minor": max(1, shown.rooms[_A.RETURN_CLAWBACK] // 2)}) if back else None
            )
        plan = chance.choice(_PLANS)
        # What the rail took back already is only counted by a reversal.
        ways = (*plan, (_A.REVERSE_CLAWBACK, 1.0), (_A.WRITE_OFF_CLAWBACK, 1.0), (_A.OFFSET_CLAWBACK, 1.0))
        # Its first part is decided, and the rest comes to the next way.
        way = next((each for each in ways[min(len(shown.history), len(plan) - 1) :] if each[0] in able), None)
        if way is None:
            return None
        act, part = way
        return act, {"amount_minor": max(1, int(shown.rooms[act] * part))} if act in NEEDS_AMOUNT else {}

    async def _rail(self, *, nothing_moves: bool) -> bool:
        halted = await self.world.ask(_HALTED, rail=RAIL)
        if not halted:
            return False
        [(restored_to,)] = halted
        before = Before(_K.RAIL, rail_id(RAIL), RAIL, "halted")
        shown = await self._shown(_K.RAIL, before.id)
        if shown is None or _A.REOPEN_RAIL not in shown.takes:
            return False
        why = shown.obstacles.get(_A.REOPEN_RAIL)
        if why is None:
            return await self._act(_A.REOPEN_RAIL, before, shown)
        if "in progress" in why or not nothing_moves:
            return False
        self.world.note("the rail is reconciled again:", why)

        async def ask(connection: AsyncConnection) -> None:
            now = datetime.now(UTC)
            since = restored_to - timedelta(days=1)
            await reconciliations.ask(connection, RAIL, since, now + timedelta(hours=1), by="fay", at=now)

        async def never() -> bool:
            return False

        await self.world.through(ask, unless=never)
        return True

    async def _forgotten(self) -> bool:
        """What no payout adopted by itself was the payment of one that waits for it, or of one that nobody owes."""
        for payment, payout, waiting in await self.world.ask(_FORGOTTEN, rail=RAIL, of=f"{self.of}-%"):
            before = Before(_K.FORGOTTEN_PAYMENT, payment, str(payment), "waiting")
            shown = await self._shown(before.kind, before.id)
            if shown is None or not shown.takes:
                continue
            self.world.note("forgotten payment of", payout, "- waits for it:", waiting)
            if waiting is not None:
                return await self._act(_A.ASSIGN_PAYMENT, before, shown, reference=str(waiting))
            return await self._act(_A.DISOWN_PAYMENT, before, shown)
        return False

    async def _shown(self, kind: SubjectKind, name: UUID) -> ActSubject | None:
        found: list[ActSubject] = []

        async def look(connection: AsyncConnection) -> None:
            with suppress(NotFound):
                found.append(await subjects.shown(connection, kind, name, self.world.cluster.life.keys))

        async def never() -> bool:
            return False

        await self.world.through(look, unless=never)
        return found[-1] if found else None

    async def _act(self, act: MoneyAct, before: Before, shown: ActSubject, **said: Any) -> bool:
        life, made = self.world.cluster.life, False
        asked = Asked(str(before.id), act, REASONS[act][0], "looked at it", shown.digest, **said)
        # A request whose answer was lost is told a second time, and then it is the same decision.
        for user in self.world.chance.sample(FINANCE, len(FINANCE)):
            why: list[ActRefused] = []

            async def decide(connection: AsyncConnection, user: str = user, why: list[ActRefused] = why) -> None:
                approver = Approver(user, frozenset({Role.FINANCE}))
                try:
                    await record(connection, asked, approver, now=datetime.now(UTC), keys=life.keys, signer=life.signer)
                except ActRefused as error:
                    why.append(error)
                except NotFound:
                    return

            async def never() -> bool:
                return False

            await self.world.through(decide, unless=never)
            if not why:
                made = True
                self.world.note(user, act, before.told, before.id, said)
                break
            self.refusals[f"{act} {before.told}"] = str(why[-1])
            if "different_people" not in str(why[-1].args):
                break
        return made

    def payments_of(self, payout: str) -> list[Mapping[str, Any]]:
        """The provider's transfers that name a payout, newest first."""
        return [each for each in self.world.provider.of(stripe.TRANSFER) if each["metadata"].get("payout") == payout]

    async def _taken_in_doubt(self, case: UUID) -> str | None:
        """The provider's reference of what it took back for a case of which we do not know it."""
        [(key, *_), *_] = await self.world.ask(_IN_DOUBT, case=case)
        made = [each for each in self.world.provider.of(stripe.REVERSAL) if each["metadata"].get("reversal") == key]
        return made[0]["id"] if made else None

    def _chance(self, about: str) -> random.Random:
        return random.Random(f"{self.of} {self.mood} {about}")


_Act = tuple[MoneyAct, Mapping[str, Any]]
_BOTH: Final = frozenset({Role.FINANCE, Role.PROGRAM_OWNER})

_CLAIMS: Final = """
SELECT r.id, c.id, c.digest FROM referral r JOIN reward_claim c ON c.id = r.claim_id
WHERE r.program = :program AND r.id LIKE :of AND r.status = 'awaiting_approval' ORDER BY r.id
"""
_DECIDED: Final = "SELECT 1 FROM decision WHERE claim_id = :claim AND digest = :digest AND username = :user"
_STANDING: Final = """
SELECT 'cycle', id, 'cycle ' || due_on, state FROM payout_cycle
WHERE program = :program AND state IN ('frozen', 'stopped')
UNION ALL
SELECT 'payout', p.id, 'payout ' || p.payee || ' ' || p.rail || ' ' || p.generation, p.state FROM payout p
WHERE p.body->>'program' = :program AND p.state IN ('refused', 'returned', 'manual_review')
UNION ALL
SELECT 'clawback_case', c.id, 'case ' || c.referral_id || ' ' || l.role || ' ' || c.why, c.state
FROM clawback_case c JOIN leg l ON l.id = c.leg_id
WHERE c.referral_id LIKE :of AND (
    c.state = 'open' OR EXISTS (SELECT 1 FROM clawback b WHERE b.case_id = c.id AND b.state = 'manual_review')
    OR (c.state = 'decided' AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.returns = c.id))
)
ORDER BY 1, 3
"""
_IN_DOUBT: Final = """
SELECT CAST(provider_key AS text) FROM clawback WHERE case_id = :case AND state = 'manual_review'
ORDER BY created_at, id
"""
_HALTED: Final = "SELECT restored_to FROM restored_rail WHERE rail = :rail AND reopened_at IS NULL"
#: Forgotten payments to payees of a schedule, each with the payout over its amount that waits for somebody's word.
_FORGOTTEN: Final = """
SELECT f.id, f.payout_id, (
    SELECT min(CAST(p.id AS text)) FROM payout p
    WHERE p.rail = f.rail AND p.payee = f.payee AND p.amount_minor = f.amount_minor AND p.state = 'approved'
) FROM forgotten_payment f
WHERE f.rail = :rail AND f.payee LIKE 'd-' || :of AND f.assigned_to IS NULL AND f.disowned_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = f.payout_id AND p.state <> 'cancelled')
  AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.provider_reference = f.reference AND p.settled_at IS NOT NULL)
ORDER BY f.id
"""
