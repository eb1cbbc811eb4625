"""Rewards that were paid by a rail and have a case open, without the life that led there; reversals step by step."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.clawbacks import Clawbacks
from activities.messages import ClawbackRequest, PayoutProgress
from models import ClawbackCase, LegRow, PayoutLegRow, PayoutRow
from models.session import Database
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.clawbacks.states import case_id
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import REASONS, MoneyAct, SubjectKind
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.payouts.states import Accepted, Paid, PaymentRequest, PayoutState, body_hash
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import programs
from referral_rewards.register.books import ledger
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.payees import deductions
from referral_rewards.register.payouts import answers, endings
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from tests.desk import days_ago, event
from tests.installation import PEPPER
from tests.installation import PROGRAM as TERMS
from tests.rails.cases import Case, key

PROGRAM = "acme-friends"


@dataclass
class Cashier:
    """Pays by one rail for real, opens cases, records decisions by the rules, and runs the activity that takes back."""

    database: Database
    case: Case
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    signer: Signer = field(default_factory=Signer.generate)

    @property
    def keys(self) -> KeyRing:
        return KeyRing.of([self.signer.public_entry()])

    @property
    def rail(self) -> str:
        return self.case.rail.facts.name

    async def begun(self) -> None:
        """Terms, and the referral whose rewards all of these are."""
        referee = {"customer": "c-brie", "email": "brie@example.com"}
        sent = {"referral": "r1", "program": PROGRAM, "referrer": "dexter", "channel": "email", "referee": referee}
        told = event("sent", "referral.sent", days_ago(60), sent)
        async with self.database.transaction() as connection:
            await programs.publish(connection, TERMS.read_text(), by="tester", at=self.now)
            await Intake(PEPPER).record(connection, [parse_event(told)], received_at=self.now)
            await connection.execute(text("UPDATE referral SET program = :program, version = 1"), {"program": PROGRAM})

    async def paid(self, number: int, amount_minor: int = 2500, *, legs: int = 1) -> list[UUID]:
        """A payout of so many equal legs that was settled; the case that is open about each."""
        request = self.case.request(number, amount_minor, program=PROGRAM)
        answer = await self.case.rail.pay(request, key(request))
        shown = answer.order if isinstance(answer, Accepted) else answer
        assert isinstance(shown, Paid), answer
        return await self.on_record(request, shown.reference, legs)

    async def on_record(self, request: PaymentRequest, reference: str, legs: int = 1) -> list[UUID]:
        """Puts a payout on record as if it had just been settled."""
        cases, share = [], request.amount_minor // legs
        async with self.database.transaction() as connection:
            await connection.execute(insert(PayoutRow).values(**self._payout(request, reference)))
            for number in range(legs):
                leg = uuid5(request.payout_id, str(number))
                await connection.execute(insert(LegRow).values(**self._leg(leg, request, share, "paid")))
                await connection.execute(
                    insert(PayoutLegRow).values(payout_id=request.payout_id, leg_id=leg, live=True)
                )
                fact = uuid4()
                cases.append(case_id(leg, fact))
                await connection.execute(
                    insert(ClawbackCase).values(
                        leg_id=leg, fact_id=fact, id=cases[-1], referral_id=request.referral, opened_at=self.now,
                        why="the order was refunded", proposed_minor=share, state="open",
                    )
                )  # fmt: skip
                await self._post(connection, books.accrued(str(leg), PROGRAM, request.payee, share, request.currency))
            entry = books.settled(
                str(request.payout_id), self.rail, request.payee, request.amount_minor, request.currency
            )
            await self._post(connection, entry)
        return cases

    async def earns(self, number: int, amount_minor: int) -> int:
        """The payee is owed something else, and it is paid less what they owe; how much was kept."""
        payout, kept_minor = await self.begins(number, amount_minor)
        await self.ends(payout, PayoutState.SETTLED)
        return kept_minor

    async def begins(self, number: int, amount_minor: int) -> tuple[UUID, int]:
        """The payee is owed something else, and a payout of it is under way; its id, and how much it keeps."""
        async with self.database.transaction() as connection:
            return await self.plans(connection, number, amount_minor)

    async def plans(self, connection: AsyncConnection, number: int, amount_minor: int) -> tuple[UUID, int]:
        """The same in a transaction of the caller."""
        leg, request = uuid4(), self.case.request(number, amount_minor, program=PROGRAM)
        await deductions.hold_payees(connection, [request.payee])
        await connection.execute(insert(LegRow).values(**self._leg(leg, request, amount_minor, "reserved")))
        await self._post(connection, books.accrued(str(leg), PROGRAM, request.payee, amount_minor, request.currency))
        left_minor = await deductions.plan(
            connection, request.payout_id, payee=request.payee, rail=self.rail, currency=request.currency,
            legs=[leg], at=self.now,
        )  # fmt: skip
        asked = replace(request, amount_minor=left_minor)
        under_way = {"provider_reference": None, "settled_at": None, "state": PayoutState.SENDING}
        await connection.execute(insert(PayoutRow).values(**self._payout(asked, "outside") | under_way))
        await connection.execute(insert(PayoutLegRow).values(payout_id=request.payout_id, leg_id=leg, live=True))
        return request.payout_id, amount_minor - left_minor

    async def ends(self, payout: UUID, state: PayoutState) -> None:
        """Its rail settles, refuses or returns a payout; one that was refused people then cancel."""
        async with self.database.transaction() as connection:
            to = PayoutState.REFUSED if state is PayoutState.CANCELLED else state
            assert await answers.note(connection, payout, to, self.now, reference=f"ref-{payout}", why=None) is to
            if state is PayoutState.CANCELLED:
                held = await payout_rows.hold(connection, payout)
                await payout_rows.move(connection, payout, state, self.now, "people cancelled it", None)
                await endings.cancelled(connection, held.payout, self.now)

    async def act(
        self, kind: MoneyAct, case: UUID, amount_minor: int | None = None, *, user: str = "fiona", **given: Any
    ) -> UUID | None:
        """Records a decision as the API does; the newest clawback of the case since."""
        async with self.database.transaction() as connection:
            await self.decides(connection, kind, case, amount_minor, user=user, **given)
            newest = text("SELECT id FROM clawback WHERE case_id = :case ORDER BY created_at DESC LIMIT 1")
            return (await connection.execute(newest, {"case": case})).scalar_one_or_none()  # type: ignore[no-any-return]

    async def decides(
        self, connection: AsyncConnection, kind: MoneyAct, case: UUID, amount_minor: int | None, *, user: str = "fiona",
        digest: str | None = None, **given: Any,
    ) -> None:  # fmt: skip
        """The same in a transaction of the caller, against the ``digest`` that was shown, else what is shown now."""
        if digest is None:
            digest = (await subjects.shown(connection, SubjectKind.CLAWBACK_CASE, case, self.keys)).digest
        asked = Asked(str(case), kind, REASONS[kind][0], "looked at it", digest, amount_minor=amount_minor, **given)
        approver = Approver(user, frozenset({Role.FINANCE}))
        await record(connection, asked, approver, now=self.now, keys=self.keys, signer=self.signer)
        self.now += timedelta(seconds=1)

    async def step(
        self, clawback: UUID | None, after: timedelta = timedelta(), cls: type[Clawbacks] = Clawbacks
    ) -> PayoutProgress:
        """The activity run once, so long after the step before."""
        self.now += after
        self.case.provider.clock.pass_time(after)
        doing = cls(self.database, self.keys, {self.rail: self.case.rail}, lambda: self.now)
        return await doing.reverse_clawback(ClawbackRequest(clawback=str(clawback), now=self.now))

    async def row(self, clawback: UUID | None) -> Any:
        return (await self.sql("SELECT * FROM clawback WHERE id = :id", id=clawback))[0]

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []

    async def balance(self, account: str) -> int:
        (row,) = await self.sql(
            "SELECT coalesce(sum(amount_minor), 0) AS total FROM posting WHERE account = :account", account=account
        )
        return int(row.total)

    def _payout(self, request: PaymentRequest, reference: str) -> dict[str, Any]:
        body = request.body()
        return {
            "id": request.payout_id,
            "referral_id": request.referral,
            "payee": request.payee,
            "rail": self.rail,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "body": body,
            "body_hash": body_hash(body),
            "generation": 1,
            "provider_key": key(request),
            "first_sent_at": self.now,
            "provider_reference": reference,
            "state": "settled",
            "settled_at": self.now,
            "updated_at": self.now,
        }

    def _leg(self, leg: UUID, request: PaymentRequest, amount_minor: int, state: str) -> dict[str, Any]:
        return {
            "id": leg,
            "referral_id": request.referral,
            "claim_id": uuid4(),
            "digest": "d",
            "program": PROGRAM,
            "referrer": "dexter",
            "order_key": str(leg),
            "role": str(leg),  # a side has one reward that stands, and these are many of one referral
            "beneficiary": request.payee,
            "kind": "cash",
            "amount_minor": amount_minor,
            "currency": request.currency,
            "rail": self.rail,
            "state": state,
            "approved_at": self.now,
            "decisions": [],
        }

    async def _post(self, connection: Any, entry: books.Entry) -> None:
        await ledger.post(connection, entry, program=PROGRAM, referral="r1", at=self.now)
