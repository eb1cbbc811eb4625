"""What is paid by hand counts as paid only by the signed word of a second person; an instruction moves nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused, NotAllowed
from referral_rewards.domain.payouts.states import (
    Accepted,
    Declined,
    Paid,
    PaymentRequest,
    PayoutState,
    Unknown,
    matches,
    provider_key,
)
from referral_rewards.domain.programs.terms import Role
from referral_rewards.rails.manual import Manual
from referral_rewards.register.decisions.signing import Signer
from referral_rewards.register.payouts import instructions
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.sources.http import RegisterSource
from tests.desk import PROGRAM, Desk, account, desk_after
from tests.notices.posting import now, sql
from tests.snapshots import Snapshots
from worker.build import rails

_S = PayoutState


@dataclass
class Manually:
    """The referrer's payout of r1, which paula approved and which is to be paid by hand."""

    desk: Desk
    payout: UUID
    rail: Manual
    request: PaymentRequest

    @property
    def key(self) -> str:
        return provider_key(self.payout, 1)

    async def step(self) -> PayoutProgress:
        asking = Inquiries(self.desk.database, self.desk.parts.intake, {"register": RegisterSource()})
        keys = self.desk.parts.keys
        doing = Payouts(self.desk.database.worker, keys, rails(self.desk.database.worker, keys), asking, now)
        return await doing.send_payout(PayoutRequest(payout=str(self.payout), now=now()))

    async def export(self, as_: str = "fiona") -> dict[str, Any]:
        """What the API answers to somebody who exports the instructions."""
        answer = await self.desk.api.post("/v1/payouts/instructions", json={}, headers=self.desk.bearer(as_))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def exported(self) -> PayoutProgress:
        """The payout once its instruction was exported, and its workflow woke."""
        await self.export()
        return await self.step()

    async def file(self) -> list[dict[str, Any]]:
        """The instructions that are handed to the bank."""
        return list((await self.desk.get("/v1/payouts/instructions", "fiona")).json()["instructions"])

    async def confirm(self, user: str = "fiona", signer: Signer | None = None, **of: Any) -> None:
        given: dict[str, Any] = {"roles": frozenset({Role.FINANCE}), "marks": frozenset(), "reference": "BANK-7"} | of
        async with self.desk.database.transaction() as connection:
            keys = self.desk.parts.keys
            shown = await subjects.shown(connection, SubjectKind.PAYOUT, self.payout, keys)
            asked = Asked(
                str(self.payout),
                MoneyAct.CONFIRM_PAYOUT,
                "bank_statement",
                "seen",
                shown.digest,
                reference=given["reference"],
            )
            approver = Approver(user, given["roles"], given["marks"])
            await record(connection, asked, approver, now=now(), keys=keys, signer=signer or self.desk.parts.signer)

    async def decide(self, kind: MoneyAct, user: str = "fiona") -> None:
        async with self.desk.database.transaction() as connection:
            keys = self.desk.parts.keys
            shown = await subjects.shown(connection, SubjectKind.PAYOUT, self.payout, keys)
            asked = Asked(str(self.payout), kind, "other", "asked the bank", shown.digest)
            approver = Approver(user, frozenset({Role.FINANCE}))
            await record(connection, asked, approver, now=now(), keys=keys, signer=self.desk.parts.signer)

    async def polled(self) -> object:
        return await self.rail.poll(self.request, self.key, self.key)


@pytest.fixture
async def manually(snapshots: Snapshots) -> AsyncIterator[Manually]:
    async with desk_after(snapshots, _approved) as opened:
        (row,) = await sql(
            opened,
            "SELECT p.id, p.body FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id"
            " JOIN leg l ON l.id = pl.leg_id WHERE l.role = 'referrer'",
        )
        keys = opened.parts.keys
        yield Manually(opened, row.id, Manual(opened.database, keys), PaymentRequest.of(row.body))


async def _approved(opened: Desk) -> None:
    by_hand = PROGRAM.replace("credit: account_credit", "credit: manual")
    await opened.publish(by_hand.replace("effective_from: 2025-01-01", "effective_from: 2025-01-02"))
    assert (await opened.tell([account("dexter"), account("c-r1")])).status_code == 202
    await opened.referral("r1")
    assert (await opened.decide("r1", "approve")).status_code < 300
    assert await opened.judge("r1") == "approved"


async def test_an_instruction_is_written_when_it_is_exported_and_then_waits(manually: Manually) -> None:
    for _ in range(2):
        waits = await manually.step()
        assert (waits.state, waits.why) == (_S.APPROVED, "its instruction waits to be exported")
        assert (await manually.file(), await sql(manually.desk, "SELECT * FROM payment_instruction")) == ([], [])
    assert (await manually.export())["exported"] != []
    for _ in range(2):
        assert (await manually.step()).state == _S.ACCEPTED
    (written,) = await sql(manually.desk, "SELECT * FROM payment_instruction WHERE payee = 'dexter'")
    assert (written.key, written.amount_minor, written.currency, written.exported_by) == (
        manually.key,
        2500,
        "USD",
        "fiona",
    )
    assert isinstance(await manually.polled(), Accepted)


async def test_the_word_of_a_second_person_settles_it_under_the_banks_reference(manually: Manually) -> None:
    await manually.exported()
    await manually.confirm()
    assert (await manually.step()).state == _S.SETTLED
    paid = await manually.polled()
    assert isinstance(paid, Paid)
    assert (paid.reference, matches(manually.request, paid)) == ("BANK-7", True)
    (row,) = await sql(manually.desk, "SELECT provider_reference FROM payout WHERE id = :id", id=manually.payout)
    assert row.provider_reference == "BANK-7"
    assert isinstance(await manually.rail.reverse(manually.request, paid, 2500, "clawback-1"), Declined)


async def test_nobody_confirms_what_they_approved(manually: Manually) -> None:
    await manually.exported()
    with pytest.raises(ActRefused, match="approved what it pays"):
        await manually.confirm("paula")
    with pytest.raises(NotAllowed):
        await manually.confirm("oscar", roles=frozenset({Role.OPERATIONS}))
    assert (await manually.step()).state == _S.ACCEPTED


@pytest.mark.forges
@pytest.mark.parametrize("how", ["another key", "no key", "of another payout", "of another time"])
async def test_a_word_that_the_api_has_not_signed_of_this_payout_counts_for_nothing(
    how: str, manually: Manually
) -> None:
    await manually.exported()
    if how == "another key":
        await manually.confirm(signer=Signer.generate())
    else:
        await manually.confirm()
        change = {
            "no key": "signature = repeat('0', length(signature))",
            "of another payout": "claim_id = gen_random_uuid()",
            "of another time": "decided_at = decided_at + interval '1 second'",
        }[how]
        await sql(manually.desk, "ALTER TABLE decision DISABLE TRIGGER USER")
        await sql(manually.desk, f"UPDATE decision SET {change} WHERE kind = 'confirm_payout'")
    assert isinstance(await manually.polled(), Accepted)
    assert (await manually.step()).state == _S.ACCEPTED


async def test_a_word_counts_for_the_instruction_that_it_was_given_for_and_for_no_other(manually: Manually) -> None:
    await manually.exported()
    await manually.confirm()
    assert isinstance(await manually.polled(), Paid)
    async with manually.desk.database.transaction() as connection:
        await instructions.write(connection, manually.request, provider_key(manually.payout, 2), "fiona", now())
    assert isinstance(await manually.rail.poll(manually.request, provider_key(manually.payout, 2), ""), Accepted)
    assert await manually.rail.look_up(manually.request, provider_key(manually.payout, 3)) is None


async def test_no_worker_writes_an_instruction_that_nobody_exported(manually: Manually) -> None:
    answer = await manually.rail.pay(manually.request, manually.key)
    assert answer == Unknown("nobody exported its instruction", for_good=True)
    assert await sql(manually.desk, "SELECT * FROM payment_instruction") == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE app_user SET barred_at = now() WHERE name = 'fiona'",
        "UPDATE app_user SET marks = ARRAY['email:one'] WHERE name IN ('fiona', 'paula')",
    ],
)
async def test_a_word_of_somebody_barred_or_one_with_an_approver_is_not_believed(
    change: str, manually: Manually
) -> None:
    await manually.exported()
    await manually.confirm()
    await sql(manually.desk, change)
    assert isinstance(await manually.polled(), Accepted)


async def test_the_word_of_somebody_barred_since_keeps_nobody_from_saying_otherwise(manually: Manually) -> None:
    await manually.exported()
    await manually.confirm()
    with pytest.raises(ActRefused, match="confirmed as paid by the bank by fiona"):
        await manually.decide(MoneyAct.REFUSE_PAYOUT, "fred")
    await sql(manually.desk, "UPDATE app_user SET barred_at = now() WHERE name = 'fiona'")
    await manually.decide(MoneyAct.REFUSE_PAYOUT, "fred")
    assert (await manually.step()).state == _S.REFUSED
    assert isinstance(await manually.polled(), Declined)


async def test_what_a_row_says_of_an_instruction_is_held_to_what_was_asked(manually: Manually) -> None:
    await manually.exported()
    await manually.confirm()
    await sql(manually.desk, "UPDATE payment_instruction SET amount_minor = 9900")
    assert (await manually.step()).state == _S.MANUAL_REVIEW


async def test_what_the_bank_did_not_execute_is_instructed_anew_once_somebody_says_so(manually: Manually) -> None:
    assert (await manually.exported()).state == _S.ACCEPTED
    await manually.decide(MoneyAct.REFUSE_PAYOUT)
    assert (await manually.step()).state == _S.REFUSED
    assert isinstance(await manually.polled(), Declined)
    await manually.decide(MoneyAct.RETRY_PAYOUT, "finn")
    assert (await manually.step()).state == _S.APPROVED
    assert (await manually.exported()).state == _S.ACCEPTED
    assert [each["key"] for each in await manually.file() if each["payee"] == "dexter"] == [f"{manually.payout}-2"]
    await manually.confirm()
    assert (await manually.step()).state == _S.SETTLED
    (row,) = await sql(
        manually.desk, f"SELECT generation, provider_reference FROM payout WHERE id = '{manually.payout}'"
    )
    assert (row.generation, row.provider_reference) == (2, "BANK-7")
