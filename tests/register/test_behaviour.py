"""What the fraud signals read of the register: circles, pace, refunds, traces. Their nearest neighbours are not."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.claims import fraud
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.dossier import Behaviour, Dossier, Pace, Refunds
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.inquiries import Answer, Answers, Question, SourceAnswer
from referral_rewards.register import programs
from referral_rewards.register.claims import blocklist, dossier
from referral_rewards.register.claims.surroundings import rings, sightings
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import open_case
from tests.installation import PEPPER, PROGRAM

BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = BEGAN + 40 * DAY
ALL = dict.fromkeys(fraud.SIGNALS, 1)


@dataclass
class Register:
    """A register of one program or two, told of people by their names: ana's customer id is ``c-ana``."""

    database: Database
    intake: Intake = field(default_factory=lambda: Intake(PEPPER))
    numbers: Any = field(default_factory=lambda: count(1))

    async def publish(self, program: str = "acme-friends", weights: dict[str, int] = ALL) -> None:
        document = {**yaml.safe_load(PROGRAM.read_text()), "program": program}
        document["effective_from"] = "2025-01-01T00:00:00Z"
        document["fraud"] = {"weights": weights, "blocked_sites": ["coupons.com"], "blocked_countries": ["FR"]}
        async with self.database.transaction() as connection:
            await programs.publish(connection, yaml.safe_dump(document), by="tester", at=datetime.now(UTC))

    async def tell(self, *facts: tuple[str, datetime, dict[str, Any]]) -> None:
        documents = [
            {"specversion": "1.0", "id": f"t{next(self.numbers)}", "source": "test", "type": type_,
             "time": at.isoformat(), "data": data}
            for type_, at, data in facts
        ]  # fmt: skip
        async with self.database.transaction() as connection:
            await self.intake.record(connection, list(map(parse_event, documents)), received_at=NOW)

    async def enrol(self, *names: str, program: str = "acme-friends", **more: Any) -> None:
        await self.tell(
            *(("referrer.enrolled", BEGAN - 300 * DAY, of(name, program) | person(name) | more) for name in names)
        )

    async def refer(
        self, referral: str, referrer: str, referee: str, at: datetime = BEGAN, *, claim: dict[str, Any] | None = None,
        visit: dict[str, Any] | None = None, beside: dict[str, Any] | None = None, program: str = "acme-friends",
    ) -> None:  # fmt: skip
        """A referral sent, claimed a day later and bought on a day after that."""
        bought = {"order": f"o-{referral}", "kind": "purchase", "amount": "80.00", "currency": "USD"}
        sent = {"referral": referral, "channel": "email", "referee": person(referee), **of(referrer, program)}
        claimed = {"referral": referral, "referee": person(referee) | (claim or {}), **(visit or {})}
        await self.tell(
            ("referral.sent", at, sent),
            ("referral.claimed", at + DAY, claimed),
            ("conversion.recorded", at + 2 * DAY, {**bought, "customer": person(referee), **(beside or {})}),
        )

    async def gathered(self, referral: str, now: datetime = NOW) -> Dossier:
        """The dossier of a referral, as its claim would be judged from."""
        confirmed = SourceAnswer(Answer.CONFIRMED, "it stands", "register")
        answers = Answers(Question(referral, "register", None), confirmed)
        async with self.database.transaction() as connection:
            case = await open_case(connection, await referrals.row(connection, referral), now, KeyRing({}))
            assert case is not None
            return await dossier.gather(connection, case, answers=answers)

    async def observed(self, referral: str) -> Behaviour:
        return (await self.gathered(referral)).behaviour

    async def ask(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            found = await connection.execute(text(statement), values)
            return list(found.all()) if found.returns_rows else []


def person(name: str) -> dict[str, Any]:
    return {"customer": f"c-{name}", "email": f"{name}@example.com"}


def of(referrer: str, program: str = "acme-friends") -> dict[str, str]:
    return {"referrer": referrer, "program": program}


@pytest.fixture
async def register(database_url: str) -> AsyncIterator[Register]:
    database = Database.at(database_url)
    opened = Register(database)
    await opened.publish()
    yield opened
    await database.close()


@pytest.mark.parametrize(
    ("people", "reciprocal", "ring"),
    [(2, True, 0), (3, False, 3), (4, False, 4), (5, False, 0)],
)
async def test_circle_of_up_to_four_people_is_found(
    register: Register, people: int, reciprocal: bool, ring: int
) -> None:
    names = ["ana", "bob", "cyd", "dan", "eve"][:people]
    await register.enrol(*names)
    for number, name in enumerate(names):
        await register.refer(f"r{number}", name, names[(number + 1) % people], BEGAN - (5 - number) * DAY)
    last = await register.gathered(f"r{people - 1}")
    assert (last.reciprocal, last.behaviour.ring) == (reciprocal, ring)


async def test_circle_that_closes_after_the_conversion_is_not_this_referrals(register: Register) -> None:
    await register.enrol("ana", "bob", "cyd")
    await register.refer("r0", "ana", "bob", BEGAN)
    await register.refer("r1", "bob", "cyd", BEGAN + DAY)
    await register.refer("r2", "cyd", "ana", BEGAN + 2 * DAY + timedelta(seconds=1))
    assert (await register.observed("r0")).ring == 0
    assert (await register.observed("r2")).ring == 3


async def test_chain_and_self_referral_are_no_circle(register: Register) -> None:
    await register.enrol("ana", "bob", "cyd")
    await register.refer("r0", "ana", "ana", BEGAN - 2 * DAY)
    await register.refer("r1", "ana", "bob", BEGAN - DAY)
    await register.refer("r2", "bob", "cyd", BEGAN)
    for referral in ("r0", "r1", "r2"):
        found = await register.gathered(referral)
        assert (found.reciprocal, found.behaviour.ring) == (False, 0)


async def test_circle_behind_somebody_whom_everybody_refers_can_not_be_told(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "_REFERRALS_MAX", 3)
    await register.enrol("ana", *(f"f{n}" for n in range(3)))
    for number in range(3):
        await register.refer(f"x{number}", f"f{number}", "ana", BEGAN - 9 * DAY)
    await register.refer("r1", "ana", "bob")
    found = await register.gathered("r1")
    assert (found.reciprocal, found.behaviour.ring) == (None, None)


async def test_pace_counts_the_hour_the_day_and_the_thirty_days_before(register: Register) -> None:
    await register.enrol("ana", "bob")
    moments = {
        "a": BEGAN, "b": BEGAN - HOUR + timedelta(seconds=1), "c": BEGAN - HOUR, "d": BEGAN - DAY,
        "e": BEGAN - 31 * DAY, "f": BEGAN - 30 * DAY - HOUR, "g": BEGAN + timedelta(seconds=1),
    }  # fmt: skip
    for name, at in moments.items():
        await register.refer(name, "ana", f"friend-{name}", at)
    await register.refer("other", "bob", "friend-of-bob")
    # Up to and including this one; what ends exactly then belongs to the past, what is 30 days older to nothing.
    assert (await register.observed("a")).pace == Pace(hour=2, before_hour=2, day=3, before_day=2)
    assert (await register.observed("other")).pace == Pace(hour=1, before_hour=0, day=1, before_day=0)


async def test_refunds_count_earlier_conversions_wholly_taken_back_by_then(register: Register) -> None:
    await register.enrol("ana")
    for number in range(4):
        await register.refer(f"r{number}", "ana", f"friend-{number}", BEGAN - (20 - number) * DAY)
    await register.tell(
        ("referral.sent", BEGAN - DAY, {"referral": "r4", "channel": "email", "referee": person("x"), **of("ana")})
    )
    await register.refer("r5", "ana", "last")
    await register.refer("r6", "ana", "later", BEGAN + DAY)
    await register.tell(
        ("conversion.reversed", BEGAN, {"order": "o-r0", "kind": "refund"}),
        ("conversion.reversed", BEGAN, {"order": "o-r1", "kind": "refund", "amount": "30.00"}),
        ("conversion.reversed", BEGAN + DAY, {"order": "o-r1", "kind": "refund", "amount": "50.00"}),
        ("conversion.reversed", BEGAN, {"order": "o-r2", "kind": "refund", "amount": "79.99"}),
        ("conversion.reversed", BEGAN + 3 * DAY, {"order": "o-r3", "kind": "refund"}),
        ("conversion.reversed", BEGAN, {"order": "o-r6", "kind": "refund"}),
    )
    assert (await register.observed("r5")).refunds == Refunds(converted=4, reversed=2)
    assert (await register.observed("r0")).refunds == Refunds(converted=0, reversed=0)


@pytest.mark.parametrize(
    ("told", "wholly"),
    [
        ([("conversion.dispute_opened", {}), ("conversion.dispute_closed", {"outcome": "lost"})], 1),
        ([("conversion.dispute_closed", {"outcome": "prevented", "amount": "80.00"})], 1),
        ([("conversion.dispute_closed", {"outcome": "lost", "amount": "79.99"})], 0),
        ([("conversion.dispute_closed", {"outcome": "won"})], 0),
        ([("conversion.dispute_opened", {})], 0),
        ([("conversion.reversed", {"kind": "chargeback_lost"}), ("conversion.dispute_closed", {"outcome": "lost"})], 1),
        ([("conversion.amended", {"amount": "0.00", "reason": "edited"})], 1),
        (
            [
                ("conversion.reversed", {"kind": "refund", "reversal": "re-1"}),
                ("conversion.reversal_failed", {"reversal": "re-1"}),
            ],
            0,
        ),
    ],
)
@pytest.mark.suite_has(4)
async def test_a_conversion_is_taken_back_by_whatever_took_it(
    register: Register, told: list[tuple[str, dict[str, Any]]], wholly: int
) -> None:
    await register.enrol("ana")
    await register.refer("r0", "ana", "friend", BEGAN - 20 * DAY)
    await register.refer("r1", "ana", "last")
    await register.tell(*((type_, BEGAN - DAY, {"order": "o-r0", **data}) for type_, data in told))
    assert (await register.observed("r1")).refunds == Refunds(converted=1, reversed=wholly)


async def test_instrument_of_another_referee_of_the_same_referrer_is_reused(register: Register) -> None:
    await register.enrol("ana", "bob")
    card, device = {"payment_fingerprint": "card-1"}, {"device": "phone-1"}
    await register.refer("r1", "ana", "x", BEGAN - 9 * DAY, beside=card)
    await register.refer("r2", "bob", "y", BEGAN - 8 * DAY, claim=device)
    await register.refer("r3", "ana", "z", BEGAN, beside=card, claim=device)
    await register.refer("r4", "ana", "x", BEGAN + DAY, beside=card)
    assert [(await register.observed(r)).reused for r in ("r1", "r2", "r3", "r4")] == [0, 0, 1, 1]


async def test_instrument_of_a_referral_denied_as_fraud_is_known_again(register: Register) -> None:
    await register.enrol("ana", "bob")
    card = {"payment_fingerprint": "card-1"}
    await register.refer("r1", "bob", "x", BEGAN - 9 * DAY, beside=card)
    await register.refer("r2", "bob", "y", BEGAN - 9 * DAY, beside=card)
    await register.refer("r3", "ana", "z", beside=card)
    for referral, reason in (("r1", "fraud"), ("r2", "other")):
        new = NewDecision(
            referral, uuid4(), "d", DecisionKind.DENY, "fiona", frozenset({Role.FINANCE}), reason, "n", NOW
        )
        async with register.database.transaction() as connection:
            await decisions.append(connection, new, Signer.generate())
        await register.ask(
            "UPDATE referral SET status = 'denied', reason = 'denied_by_decision' WHERE id = :id", id=referral
        )
    found = await register.observed("r3")
    assert (found.denied, found.reused) == (1, 0)
    await register.ask("UPDATE referral SET status = 'awaiting_approval', reason = NULL WHERE id = 'r1'")
    assert (await register.observed("r3")).denied == 0


async def test_crowd_is_what_one_address_saw_within_a_day(register: Register) -> None:
    await register.enrol("ana", "bob")
    cafe = {"ip": "203.0.113.9"}
    await register.refer("r1", "ana", "v", BEGAN, claim=cafe)
    await register.refer("r2", "bob", "w", BEGAN + DAY, claim=cafe)
    await register.refer("r3", "bob", "x", BEGAN - 2 * DAY, beside=cafe)
    await register.refer("r4", "bob", "y", BEGAN + DAY + timedelta(seconds=1), claim=cafe)
    await register.refer("r5", "bob", "z", BEGAN)
    await register.tell(
        ("conversion.recorded", BEGAN + DAY, {"order": "strangers", "kind": "visit", "customer": person("s"), **cafe})
    )
    # A claim without a referral's name is found by the name that its own content gives it.
    await register.tell(
        ("referral.claimed", BEGAN + DAY, {**of("bob"), "channel": "link", "referee": person("q") | cafe})
    )
    assert (await register.observed("r1")).crowd == 4
    assert (await register.observed("r5")).crowd == 0


async def test_address_that_everybody_shares_can_not_be_told(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sightings, "_SIGHTINGS_MAX", 2)
    await register.enrol("ana")
    for number in range(3):
        both = {"claim": {"ip": "203.0.113.9", "device": "d"}}
        await register.refer(f"r{number}", "ana", f"x{number}", BEGAN + 9 * number * DAY, **both)
    found = await register.observed("r0")
    assert (found.crowd, found.denied) == (None, None)


async def test_referral_never_listens_to_a_trace(register: Register) -> None:
    shown = {"ip": "203.0.113.9", "device": "d", "payment_fingerprint": "card-1"}
    await register.enrol("ana", phone="+16475550100", device="d")
    await register.refer("r1", "ana", "bob", claim=shown, beside=shown)
    await register.refer("r2", "ana", "cyd", claim=shown, beside=shown)
    traces = {key.split(":")[0] for (key,) in await register.ask("SELECT key FROM fact_key")}
    heard = {key.split(":")[0] for (key,) in await register.ask("SELECT key FROM referral_key")}
    assert {"ip", "device", "fingerprint", "enrolled"} <= traces
    assert not heard & {"ip", "device", "fingerprint", "enrolled"}
    linked = await register.ask("SELECT referral_id, count(*) FROM referral_fact GROUP BY 1 ORDER BY 1")
    assert linked == [("r1", 4), ("r2", 4)]
    kinds = await register.ask("SELECT DISTINCT split_part(key, ':', 2) FROM fact_key WHERE key LIKE 'enrolled:%'")
    assert {kind for (kind,) in kinds} == {"customer", "email", "phone", "device"}


async def test_person_suspended_elsewhere_is_barred_by_id_or_identity(register: Register) -> None:
    await register.publish("other")
    await register.enrol("ana", "bob", "cyd")
    await register.enrol("bob", program="other")
    await register.tell(
        ("referrer.enrolled", BEGAN - DAY, of("ann", "other") | {"email": "Ana@example.com"}),
        ("referrer.suspended", BEGAN, of("ann", "other")),
        ("referrer.suspended", BEGAN, of("bob", "other")),
        ("referrer.suspended", BEGAN, of("cyd", "other")),
        ("referrer.reinstated", BEGAN + DAY, of("cyd", "other")),
        ("referrer.suspended", BEGAN, of("cyd")),
    )
    for name in ("ana", "bob", "cyd"):
        await register.refer(f"r-{name}", name, f"friend-of-{name}")
    assert [(await register.observed(f"r-{name}")).barred for name in ("ana", "bob", "cyd")] == [1, 1, 0]


async def test_blocklist_knows_either_side_by_any_mark(register: Register) -> None:
    await register.enrol("ana")
    await register.refer("r1", "ana", "bob", beside={"payment_fingerprint": "card-1"})
    await register.refer("r2", "ana", "cyd")
    marks = register.intake.marker.marks({"email": "ANA@example.com", "payment_fingerprint": "card-1"})
    async with register.database.transaction() as connection:
        assert await blocklist.add(connection, marks, why="chargebacks", by="olga", at=NOW) == 2
        assert await blocklist.add(connection, marks, why="again", by="olga", at=NOW) == 0
    assert (await register.observed("r1")).blocked == {"email", "fingerprint"}
    assert (await register.observed("r2")).blocked == {"email"}


async def test_way_by_which_the_referee_came_is_read_from_the_plaintext(register: Register) -> None:
    await register.enrol("ana", country="CA", name="Ana Gouda")
    visit = {"referring_url": "https://www.coupons.com/acme", "landing_url": "https://acme.com/?gclid=secret"}
    await register.refer("r1", "ana", "bob", visit=visit, claim={"country": "United States", "name": "Bob Brie"})
    found = await register.gathered("r1")
    assert found.behaviour.clicks == {"gclid"}
    assert found.behaviour.sites == {"coupons.com", "acme.com"}
    assert found.personal is not None
    assert (found.personal.referrer_country, found.personal.referee_country) == ("CA", "United States")
    assert (found.personal.referrer_name, found.personal.referee_name) == ("Ana Gouda", "Bob Brie")
    await register.ask("UPDATE personal_data SET sealed = NULL, erased_at = now()")
    erased = await register.gathered("r1")
    assert (erased.personal, erased.behaviour.clicks, erased.behaviour.sites) == (None, None, None)


async def test_nothing_is_gathered_for_signals_without_a_weight(register: Register) -> None:
    await register.publish("quiet", weights={"shared_ip": 5, "referral_ring": 0})
    await register.enrol("ana", program="quiet")
    await register.refer("r1", "ana", "bob", program="quiet")
    found = await register.gathered("r1")
    assert (found.behaviour, found.personal, found.reciprocal) == (Behaviour(), None, None)


async def test_question_that_breaks_leaves_the_judgement_whole(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "_INVITED_BY", text("SELECT 1 / 0 WHERE :marks IS NOT NULL OR :until = :bound"))
    await register.enrol("ana")
    await register.refer("r1", "ana", "bob")
    found = await register.gathered("r1")
    assert found.behaviour.ring is None
    assert found.behaviour.pace is not None


@pytest.mark.forges
async def test_totals_equal_a_recount_after_any_approvals_and_cancellations(register: Register) -> None:
    rng = random.Random(7)
    live: list[str] = []
    for number in range(300):
        act = rng.random()
        if act < 0.55 or not live:
            live.append(str(uuid4()))
            await register.ask(
                _LEG, id=live[-1], number=f"n{number}", program=rng.choice("pq"),
                referrer=rng.choice(["", "ana", "bob"]), role=rng.choice(["referrer", "referee"]),
                amount=rng.randrange(1, 9999),
            )  # fmt: skip
        elif act < 0.75:
            ended, state = live.pop(rng.randrange(len(live))), rng.choice(["cancelled", "clawed_back"])
            if state == "clawed_back":
                await register.ask("UPDATE leg SET state = 'paid' WHERE id = :id", id=ended)
                await register.ask(_RECOVERED, id=ended)
            await register.ask("UPDATE leg SET state = :state WHERE id = :id", id=ended, state=state)
        elif act < 0.9:
            state = rng.choice(["tax_hold", "reserved", "paid"])
            await register.ask("UPDATE leg SET state = :state WHERE id = :id", id=rng.choice(live), state=state)
        else:
            await register.ask(
                "UPDATE leg SET amount_minor = :amount WHERE id = :id", id=rng.choice(live), amount=rng.randrange(1, 99)
            )
    assert live
    assert _without_nothing(await register.ask(_KEPT)) == _without_nothing(await register.ask(_RECOUNTED))


def _without_nothing(totals: Sequence[Any]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in totals if row.rewards)


_LEG = """
INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor,
                 currency, rail, state, approved_at)
VALUES (:id, :number, :id, 'd', :program, :referrer, :number, :role, 'x', 'credit', :amount, 'USD', 'account_credit',
        'reserved', now())
"""

_RECOVERED = """
INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor, currency, recovered_minor,
                      body, body_hash, generation, provider_key, state, decision_id, created_at, updated_at)
SELECT gen_random_uuid(), gen_random_uuid(), id, gen_random_uuid(), referral_id, beneficiary, 'offset', amount_minor,
       currency, amount_minor, '{}', '', 1, gen_random_uuid(), 'offset', gen_random_uuid(), now(), now()
FROM leg WHERE id = :id
"""

_KEPT = "SELECT program, referrer, rewards, amount_minor::bigint FROM held_total"

_RECOUNTED = """
WITH live AS (SELECT * FROM leg WHERE state NOT IN ('cancelled', 'clawed_back'))
SELECT program, '' AS referrer, count(*) AS rewards, sum(amount_minor)::bigint FROM live GROUP BY 1
UNION ALL
SELECT program, referrer, count(*), sum(amount_minor)::bigint FROM live
WHERE role = 'referrer' AND referrer <> '' GROUP BY 1, 2
"""
