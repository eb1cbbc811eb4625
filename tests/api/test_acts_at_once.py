"""Several people decide on the same money at the same moment: one is recorded, the others are told who was first."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.domain.decisions.money_acts import (
    NEEDS_AMOUNT,
    NEEDS_REFERENCE,
    REASONS,
    SUBJECT_OF,
    MoneyAct,
    SubjectKind,
)
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.payouts import acts as payout_acts
from referral_rewards.register.payouts import subject as payout_subject
from tests import money
from tests.desk import Desk

_A = MoneyAct
_PEOPLE: Final = tuple(f"finn-{number}" for number in range(6))
_PAYOUT: Final = payout_id("r1", "referee")
_PAYMENT: Final = UUID(int=77)
_ROOMS: Final[dict[SubjectKind, tuple[str, UUID | str]]] = {
    SubjectKind.PAYOUT: ("payouts", _PAYOUT),
    SubjectKind.CLAWBACK_CASE: ("clawbacks", money.CASE),
    SubjectKind.CYCLE: ("cycles", money.CYCLE),
    SubjectKind.RAIL: ("rails", "manual"),
    SubjectKind.FORGOTTEN_PAYMENT: ("forgotten-payments", _PAYMENT),
    SubjectKind.PROGRAM: ("programs", "acme-friends"),
}
#: The budget needs two signatures, a leaving payee and a pilot a program that pays in cycles, and a redirect a reward
#: that waits for its payee's account: they have tests of their own.
_ELSEWHERE: Final = frozenset({_A.ADD_BUDGET, _A.PAY_BELOW_MINIMUM, _A.REDIRECT_PAYEE, _A.START_PILOT, _A.END_PILOT})
_FORGOTTEN: Final = f"""
    INSERT INTO forgotten_payment (id, rail, reference, payout_id, amount_minor, currency, state, found_at)
    SELECT '{_PAYMENT}', rail, 'tr_1', '{UUID(int=5)}', 400, 'USD', 'paid', now() FROM payout WHERE id = '{_PAYOUT}'
"""
_HALTED: Final = """
    WITH restored AS (INSERT INTO register_restore VALUES (1, now(), now(), 'ada', 'told') RETURNING number)
    INSERT INTO restored_rail SELECT 'manual', number, now(), now(), 'restored' FROM restored
"""
_IN_REVIEW: Final = f"UPDATE payout SET state = 'manual_review' WHERE id = '{_PAYOUT}'"
#: What has to be otherwise on the stage than it is for the act to be taken.
_STANDS: Final = {
    _A.SETTLE_PAYOUT: _IN_REVIEW,
    _A.REFUSE_PAYOUT: _IN_REVIEW,
    _A.CONFIRM_PAYOUT: f"UPDATE payout SET state = 'accepted', rail = 'manual' WHERE id = '{_PAYOUT}'",
    _A.RESUME_CYCLE: "UPDATE payout_cycle SET state = 'stopped', turn = 1",
    _A.SETTLE_CLAWBACK: "UPDATE clawback SET state = 'manual_review'",
    _A.REFUSE_CLAWBACK: "UPDATE clawback SET state = 'manual_review'",
    _A.RETURN_CLAWBACK: "UPDATE clawback SET state = 'reversed', recovered_minor = amount_minor",
    _A.REOPEN_RAIL: _HALTED,
    _A.ASSIGN_PAYMENT: _FORGOTTEN,
    _A.DISOWN_PAYMENT: _FORGOTTEN,
}
#: What was decided before.
_FIRST: Final = {
    _A.RESUME_CYCLE: _A.STOP_CYCLE,
    _A.RESUME_PROGRAM: _A.PAUSE_PROGRAM,
    _A.SETTLE_CLAWBACK: _A.REVERSE_CLAWBACK,
    _A.REFUSE_CLAWBACK: _A.REVERSE_CLAWBACK,
    _A.RETURN_CLAWBACK: _A.REVERSE_CLAWBACK,
}


@dataclass
class AtOnce:
    """An act on the stage of `money.stand`, and everybody who is to make it."""

    desk: Desk
    act: MoneyAct
    reward: UUID | None = None

    @property
    def subject(self) -> UUID:
        subject = _ROOMS[SUBJECT_OF[self.act]][1]
        assert isinstance(subject, UUID)
        return subject

    @property
    def path(self) -> str:
        if SUBJECT_OF[self.act] is SubjectKind.REWARD:
            return f"/v1/clawbacks/rewards/{self.reward}"
        room, subject = _ROOMS[SUBJECT_OF[self.act]]
        return f"/v1/{room}/{subject}"

    @property
    def inbox(self) -> str:
        """Where the act is posted."""
        return "/v1/clawbacks" if SUBJECT_OF[self.act] is SubjectKind.REWARD else f"{self.path}/decisions"

    async def begun(self) -> None:
        await self.desk.referral("r1")
        await self.desk.decide("r1", "approve")
        assert await self.desk.judge("r1") == "approved"
        await money.stand(self.desk, "r1")
        if SUBJECT_OF[self.act] is SubjectKind.REWARD:
            ((self.reward,),) = await self.sql("SELECT id FROM leg WHERE referral_id = 'r1' AND role = 'referrer'")
        for name in _PEOPLE:
            await self.desk.add_user(name, Role.FINANCE, Role.PROGRAM_OWNER)
        if self.act in _FIRST:
            assert (await self.post(_PEOPLE[0], await self.shown(), _FIRST[self.act])).status_code == 201
        if self.act in _STANDS:
            await self.sql(_STANDS[self.act])

    async def shown(self) -> str:
        shown = f"{self.path}/life" if SUBJECT_OF[self.act] is SubjectKind.PROGRAM else self.path
        return str((await self.desk.get(shown)).json()["digest"])

    async def post(self, user: str, digest: str, act: MoneyAct) -> httpx.Response:
        asked: dict[str, Any] = {"act": act, "reason": REASONS[act][0], "note": "looked at it", "digest": digest}
        if self.reward is not None:
            asked["reward"] = str(self.reward)
        if act in NEEDS_AMOUNT:
            asked["amount_minor"] = 400
        if act in NEEDS_REFERENCE:
            # Two references of one payment: only one of them can be right.
            asked["reference"] = str(_PAYOUT) if act is _A.ASSIGN_PAYMENT else f"seen-by-{user}"
        return await self.desk.api.post(self.inbox, json=asked, headers=self.desk.bearer(user))

    async def effects(self) -> int:
        """How often something comes of it, once what it wakes has run twice."""
        keys, now = self.desk.parts.keys, datetime.now(UTC)
        async with self.desk.database.transaction() as connection:
            match SUBJECT_OF[self.act]:
                case SubjectKind.CYCLE:
                    row = await cycles.row(connection, self.subject)
                    return (await cycles.decided(connection, row, keys)).turn - (self.act in _FIRST)
                case SubjectKind.PROGRAM:
                    # Nobody carries it out: what was decided is read with each verdict.
                    return len(await self.sql(f"SELECT 1 FROM decision WHERE kind = '{self.act}'"))
                case SubjectKind.PAYOUT:
                    await payout_subject.lock(connection, self.subject)
                    made = await decisions.on_subject(connection, self.subject, keys)
                    moved = [await payout_acts.carry_out(connection, self.subject, made, now, keys) for _ in range(2)]
                    # A bank's word is read by the rail itself.
                    return 1 if self.act is _A.CONFIRM_PAYOUT else sum(moved)
        return len(
            await self.sql(
                f"SELECT 1 FROM decision_effect e JOIN decision d ON d.id = e.decision_id"
                f" WHERE d.kind = '{self.act}' AND e.effect = 'applied'"
            )
        )

    async def sql(self, statement: str) -> list[Any]:
        async with self.desk.database.transaction() as connection:
            result = await connection.execute(text(statement))
            return list(result.all()) if result.returns_rows else []


@pytest.mark.parametrize("kind", [act for act in MoneyAct if act not in _ELSEWHERE])
@pytest.mark.suite_has(6)
async def test_of_acts_of_many_at_once_one_is_recorded_and_the_others_are_told_whose(
    kind: MoneyAct, desk: Desk
) -> None:
    at_once = AtOnce(desk, kind)
    await at_once.begun()
    digest = await at_once.shown()
    answers = await asyncio.gather(*(at_once.post(name, digest, kind) for name in _PEOPLE))
    assert [each.status_code for each in answers].count(201) == 1
    others = [each.json() for each in answers if each.status_code != 201]
    assert {(each["status"], each["rule"]) for each in others} == {(409, "decided_meanwhile")}
    (first,) = await at_once.sql(f"SELECT username, decided_at FROM decision WHERE kind = '{kind}'")
    at = f"{first.decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    assert all(f"{label('decided', kind)} by {first.username}, {at}" in each["detail"] for each in others)
    assert await at_once.effects() == 1
    clawbacks = {_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK}
    clawbacks |= {_A.SETTLE_CLAWBACK, _A.REFUSE_CLAWBACK, _A.RETURN_CLAWBACK}
    assert len(await at_once.sql("SELECT 1 FROM clawback")) == (kind in clawbacks)
    booked = {row.account.partition(":")[0]: row.total for row in await at_once.sql(_BOOKED)}
    # What the return sends back was taken by hand here, so the books still show it as owed.
    owed = {_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.RETURN_CLAWBACK}
    assert len(await at_once.sql("SELECT 1 FROM payout WHERE returns IS NOT NULL")) == (kind is _A.RETURN_CLAWBACK)
    assert booked.get("recoverable", 0) == (400 if kind in owed else 0)
    assert booked.get("loss", 0) == (400 if kind is _A.WRITE_OFF_CLAWBACK else 0)


_BOOKED = "SELECT account, sum(amount_minor) AS total FROM posting GROUP BY 1 HAVING sum(amount_minor) <> 0"
