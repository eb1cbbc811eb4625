"""Attacks by whoever has a Temporal client, or may write to the database, but holds no signing key: no money moves."""

import asyncio
import hashlib
import inspect
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.workflow import _Definition

from models import DecisionRow
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.payouts.states import body_hash, payout_id, provider_key
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outbox
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing, KeyStatus, Signer
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.workflow_ids import payout_workflow_id
from tests.installation import PROGRAM, Installation
from tests.workflows.scenes import (
    approved_but_unsent,
    before_its_approver,
    books,
    days_ago,
    pay,
    payouts,
    payouts_at_work,
    quiet,
    referrals_at_work,
    scene,
    sql,
    status_of,
)
from worker.build import PAYOUT_WORKFLOWS, REFERRAL_WORKFLOWS


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        yield life


# Messages typed at a Temporal client.


@pytest.mark.parametrize("signal", ["fact_arrived", "decision_recorded", "payout_settled"])
async def test_a_forged_signal_pays_nothing_and_changes_nothing(life: Installation, signal: str) -> None:
    async with life.workers():
        before = await before_its_approver(life, "r1")
        await life.handle("r1").signal(signal, str(uuid4()))
        after = await quiet(life, "r1")
    assert after.judged_at > before.judged_at
    assert after == replace(before, judged_at=after.judged_at)
    assert await life.money() == {}


#: What anybody may type: too little, too much, of another kind, in no encoding that we know.
ODD: Final[tuple[tuple[Any, ...], ...]] = (
    (),
    ("r1", "r1", "r1"),
    ({"kind": "approve"},),
    ([None, 3.5],),
    (RawValue(Payload(metadata={"encoding": b"of/nobody"}, data=b"\xff\x00")),),
    (RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{no json")),),
    (RawValue(Payload()),),
)


async def test_odd_signals_neither_pay_nor_stop_the_referral(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        for signal in ("fact_arrived", "decision_recorded", "payout_settled", "news", "nobody_listens_to_this"):
            for told in ODD:
                await life.handle("r1").signal(signal, args=told)
        await quiet(life, "r1")
        assert await life.money() == {}
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
    assert await life.money() == books("r1")


@pytest.mark.parametrize("workflow", [*REFERRAL_WORKFLOWS, *PAYOUT_WORKFLOWS], ids=lambda each: each.__name__)
def test_every_signal_takes_any_arguments(workflow: type) -> None:
    """One that has too many arguments would fail every task of the run from then on, and nobody would see it."""
    for signal in _Definition.must_from_class(workflow).signals.values():
        *_, last = inspect.signature(signal.fn).parameters.values()
        assert last.kind is inspect.Parameter.VAR_POSITIONAL, signal.name
        assert signal.arg_types is None, signal.name


async def test_a_payout_that_nobody_planned_pays_nothing(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        assert await pay(life, payout_id("r1", "referrer")) == "cancelled"
    assert await life.money() == {}


# Rows in the register of decisions.


async def _copy(life: Installation, genuine: DecisionRow, **changes: Any) -> UUID:
    """Puts a copy of a decision at the end of the chain, rightly linked and hashed, and wakes its referral."""
    row = genuine._asdict() | {"id": uuid4()} | changes  # type: ignore[attr-defined]
    head = (await sql(life, "SELECT seq, hash FROM decision ORDER BY seq DESC LIMIT 1"))[0]
    row |= {"seq": head.seq + 1, "previous_hash": head.hash}
    row["hash"] = hashlib.sha256(_signed_text(row)).hexdigest()
    if callable(row["signature"]):
        row["signature"] = row["signature"](_signed_text(row))
    columns = ", ".join(row)
    await sql(life, f"INSERT INTO decision ({columns}) VALUES ({', '.join(':' + name for name in row)})", **row)
    async with life.database.transaction() as connection:
        await outbox.enqueue(connection, WakeupKind.DECISION, row["referral_id"], row["id"])
    return UUID(str(row["id"]))


def _signed_text(row: dict[str, Any]) -> bytes:
    said = {
        **{name: row[name] for name in ("seq", "digest", "kind", "reason")},
        "id": str(row["id"]),
        "referral": row["referral_id"],
        "claim": str(row["claim_id"]),
        "user": row["username"],
        "roles": sorted(row["roles"]),
        "note": row["note_commitment"],
        "decided_at": row["decided_at"].isoformat(),
        "previous": row["previous_hash"],
        "key": row["key_id"],
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


STRANGER = Signer.generate()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="with the signature of another decision"),
        pytest.param({"key_id": STRANGER.key_id, "signature": STRANGER.sign}, id="signed by a key that nobody knows"),
        pytest.param({"signature": STRANGER.sign}, id="under a known key id, signed by another key"),
        pytest.param({"signature": lambda text: ""}, id="without a signature"),
        pytest.param({"signature": lambda text: "not hex"}, id="with a signature that is none"),
        pytest.param({"kind": "bribe"}, id="of a kind that does not exist"),
    ],
)
@pytest.mark.suite_has(2)
async def test_an_approval_written_without_the_key_pays_nothing_and_is_noted_as_forged(
    life: Installation, changes: dict[str, Any]
) -> None:
    async with life.workers():
        await before_its_approver(life, "r2")
        await life.decide("r2")
        await life.settled("r2", among=frozenset({"rewarded"}))
        row = await before_its_approver(life, "r1")
        [claim] = await sql(life, "SELECT id, digest FROM reward_claim WHERE id = :id", id=row.claim_id)
        [genuine] = await sql(life, "SELECT * FROM decision")
        its = {"referral_id": "r1", "claim_id": claim.id, "digest": claim.digest}
        forged = await _copy(life, genuine, **its, **changes)
        assert (await quiet(life, "r1")).status == "awaiting_approval"
    assert await life.money() == books("r2")
    assert await sql(life, "SELECT effect FROM decision_effect WHERE decision_id = :id", id=forged) == [("forged",)]
    async with life.database.transaction() as connection:
        assert await decisions.chain_problems(connection, life.keys)


async def test_a_forged_row_does_not_keep_people_from_deciding(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r2")
        await life.decide("r2")
        await life.settled("r2", among=frozenset({"rewarded"}))
        [genuine] = await sql(life, "SELECT * FROM decision")
        forged = await _copy(life, genuine, signature=STRANGER.sign)
        await before_its_approver(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
    async with life.database.transaction() as connection:
        problems = await decisions.chain_problems(connection, life.keys)
    assert problems == [f"decision 2 ({forged}) carries no signature that we believe"]


async def test_an_approval_of_another_claim_moved_over_with_its_row_pays_nothing(life: Installation) -> None:
    """Everything of the genuine row is kept but the referral it names."""
    async with life.workers():
        await before_its_approver(life, "r1")
        await before_its_approver(life, "r2")
        await life.decide("r2", DecisionKind.APPROVE, digest="0" * 64)
        await sql(life, "ALTER TABLE decision DISABLE TRIGGER ALL")
        await sql(life, "UPDATE decision SET referral_id = 'r1'")
        await life.handle("r1").signal("decision_recorded", str(uuid4()))
        assert (await quiet(life, "r1")).status == "awaiting_approval"
    assert await life.money() == {}
    assert await sql(life, "SELECT effect FROM decision_effect") == [("forged",)]


async def test_a_decision_altered_by_someone_who_can_switch_off_the_guards_counts_no_more(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1", DecisionKind.HOLD)
        assert (await life.settled("r1", among=frozenset({"on_hold"}))).status == "on_hold"
        await sql(life, "ALTER TABLE decision DISABLE TRIGGER ALL")
        await sql(life, "UPDATE decision SET kind = 'approve'")
        await life.handle("r1").signal("decision_recorded", str(uuid4()))
        assert (await quiet(life, "r1")).status == "awaiting_approval"
    assert await life.money() == {}


# Rows that say that a payout is due.

_LEG = """
INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor,
                 currency, rail, state, approved_at, decisions)
VALUES (:id, 'r1', :claim_id, :digest, 'acme-friends', 'dexter', :order_key, 'referrer', :payee, 'credit', :minor,
        'USD', 'account_credit', 'reserved', now(), '{}')
"""
_PAYOUT = """
INSERT INTO payout (id, referral_id, payee, rail, amount_minor, currency, body, body_hash, generation, provider_key,
                    first_sent_at, state, updated_at)
VALUES (:id, 'r1', :payee, 'account_credit', :minor, 'USD', CAST(:body AS jsonb), :body_hash, 1, :key, :sent, :state,
        now())
"""


async def _plant_payout(
    life: Installation, *, payee: str, minor: int, sent: bool, name: UUID | None = None, order_key: str = "forged"
) -> UUID:
    """Writes a leg and its payout as an approval would."""
    row = await life.row("r1")
    name, leg = name or uuid4(), uuid4()
    [claim] = await sql(life, "SELECT digest FROM reward_claim WHERE id = :id", id=row.claim_id)
    body = {
        "payout": str(name),
        "payee": payee,
        "amount_minor": minor,
        "currency": "USD",
        "destination": None,
        "program": "acme-friends",
        "referral": "r1",
    }
    its = {"payee": payee, "minor": minor}
    await sql(life, _LEG, id=leg, claim_id=row.claim_id, digest=claim.digest, order_key=order_key, **its)
    sending = {"sent": days_ago(0) if sent else None, "state": "sending" if sent else "approved"}
    frozen = {"body": json.dumps(body), "body_hash": body_hash(body), "key": provider_key(name, 1)}
    await sql(life, _PAYOUT, id=name, **its, **frozen, **sending)
    await sql(life, "INSERT INTO payout_leg VALUES (:payout, :leg, true)", payout=name, leg=leg)
    return name


@pytest.mark.parametrize("status", ["awaiting_approval", "approved", "paying"])
@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "marked as sent"])
@pytest.mark.suite_has(2)
async def test_a_payout_written_by_hand_is_not_paid_without_an_approval(
    life: Installation, sent: bool, status: str
) -> None:
    async with referrals_at_work(life):
        await before_its_approver(life, "r1")
    async with payouts_at_work(life):
        name = await _plant_payout(life, payee="dexter", minor=2500, sent=sent, name=payout_id("r1", "referrer"))
        await sql(life, "UPDATE referral SET status = :status WHERE id = 'r1'", status=status)
        assert await pay(life, name) == "manual_review"
    assert await life.money() == {}
    assert await sql(life, "SELECT id FROM ledger_transaction") == []


@pytest.mark.parametrize("payee", ["mallory", "dexter"])
@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "marked as sent"])
@pytest.mark.suite_has(2)
async def test_a_genuine_approval_pays_nothing_beside_the_legs_it_approved(
    life: Installation, sent: bool, payee: str
) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
        # Whoever can write rows can drop what refuses them.
        await sql(life, "DROP INDEX uq_leg_standing")
        name = await _plant_payout(life, payee=payee, minor=2500, sent=sent)
        await sql(life, "UPDATE referral SET status = 'paying' WHERE id = 'r1'")
        assert await pay(life, name) == "manual_review"
    assert await life.money() == books("r1")


@pytest.mark.parametrize(
    "reset",
    [
        pytest.param("state = 'approved', first_sent_at = NULL", id="as if it were unsent"),
        pytest.param("state = 'sending'", id="as if the answer were out"),
        pytest.param("state = 'approved', first_sent_at = NULL, generation = 2, provider_key = id || '-2'", id="anew"),
    ],
)
@pytest.mark.suite_has(2)
async def test_a_settled_payout_is_not_paid_again_whatever_its_row_says(life: Installation, reset: str) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
        paid = (await payouts(life, "r1"))["referrer"]
        await sql(life, f"UPDATE payout SET {reset} WHERE id = :id", id=paid.id)
        await sql(life, "UPDATE referral SET status = 'paying'")
        assert await pay(life, paid.id) == "manual_review"
    assert await life.money() == books("r1")


# Rows changed after the approval, before the payment; each on a referral of its own.

_BODIES: Final[dict[str, dict[str, Any]]] = {
    "payee": {"payee": "mallory"},
    "amount": {"amount_minor": 999900},
    "currency": {"currency": "JPY"},
    "destination": {"destination": "acct_mallory"},
    "referral": {"referral": "another"},
}
_ITS_LEG: Final = "id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id)"
_ROWS: Final = {
    "amount": "UPDATE payout SET amount_minor = 999900 WHERE id = :id",
    "payee": "UPDATE payout SET payee = 'mallory' WHERE id = :id",
    "currency": "UPDATE payout SET currency = 'JPY' WHERE id = :id",
    "rail": "UPDATE payout SET rail = 'mallory' WHERE id = :id",
    "key": "UPDATE payout SET provider_key = 'another' WHERE id = :id",
    "key-of-a-later-generation": "UPDATE payout SET provider_key = id || '-2' WHERE id = :id",
    "leg-payee": f"UPDATE leg SET beneficiary = 'mallory' WHERE {_ITS_LEG}",
    "leg-destination": f"UPDATE leg SET destination = 'mallory' WHERE {_ITS_LEG}",
    "no-leg": "UPDATE payout_leg SET live = false WHERE payout_id = :id",
    # By little: a large one would use up the referrer's cap, by which the other claims change too.
    "leg-amount": f"UPDATE leg SET amount_minor = amount_minor + 1 WHERE {_ITS_LEG}",
}
_TREAD: Final = {
    "as it was": "SELECT 1",
    "as if sent": "UPDATE payout SET first_sent_at = now(), state = 'sending' WHERE id = ANY(:ids)",
    "as if its key was used": """
        UPDATE payout SET first_sent_at = now(), key_used_at = now(), state = 'sending' WHERE id = ANY(:ids)
    """,
    "as if paying": "UPDATE referral SET status = 'paying'",
}


@pytest.mark.parametrize("mended", [False, True], ids=["hash as it was", "hash mended"])
@pytest.mark.chaos
async def test_a_request_changed_after_its_approval_is_not_sent(life: Installation, mended: bool) -> None:
    await approved_but_unsent(life, *_BODIES)
    targets = {each: (await payouts(life, each))["referrer"] for each in _BODIES}
    for each, change in _BODIES.items():
        body = targets[each].body | change
        frozen = body_hash(body) if mended else targets[each].body_hash
        statement = "UPDATE payout SET body = CAST(:body AS jsonb), body_hash = :frozen WHERE id = :id"
        await sql(life, statement, body=json.dumps(body), frozen=frozen, id=targets[each].id)
    async with payouts_at_work(life):
        ends = {each: await pay(life, targets[each].id) for each in targets}
    await _none_was_paid(life, ends)


@pytest.mark.parametrize("besides", _TREAD.values(), ids=_TREAD)
@pytest.mark.suite_has(2)
async def test_a_row_changed_after_its_approval_is_not_paid(life: Installation, besides: str) -> None:
    await approved_but_unsent(life, *_ROWS)
    targets = {each: (await payouts(life, each))["referrer"] for each in _ROWS}
    await sql(life, besides, **({"ids": [each.id for each in targets.values()]} if ":ids" in besides else {}))
    for each, change in _ROWS.items():
        await sql(life, change, id=targets[each].id)
    async with payouts_at_work(life):
        ends = {each: await pay(life, targets[each].id) for each in targets}
    await _none_was_paid(life, ends)


async def _none_was_paid(life: Installation, ends: dict[str, str]) -> None:
    """Each of these payouts came before a person, and nobody's credit grew but the referees'."""
    assert ends == dict.fromkeys(ends, "manual_review")
    honest = {f"credit:c-{each}" for each in ends}
    assert {account for account in await life.money() if account.startswith(("credit:", "clearing:"))} <= honest


async def test_a_claim_exchanged_for_a_better_one_under_an_approved_digest_is_not_paid(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    row, target = await life.row("r1"), (await payouts(life, "r1"))["referrer"]
    better = "jsonb_set(body, '{legs,0,amount_minor}', '999900')"
    columns = "referral_id, round, digest, core_digest, {body}, facts_version, approved_rewards, assembled_at"
    copied = f"SELECT :new, {columns.format(body=better)} FROM reward_claim WHERE id = :id"
    new = uuid4()
    await sql(life, f"INSERT INTO reward_claim (id, {columns.format(body='body')}) {copied}", new=new, id=row.claim_id)
    await sql(life, "UPDATE referral SET claim_id = :new", new=new)
    await sql(life, "UPDATE leg SET claim_id = :new", new=new)
    async with payouts_at_work(life):
        assert await pay(life, target.id) == "manual_review"
    await _nothing_reached_the_referrer(life)


async def _nothing_reached_the_referrer(life: Installation) -> None:
    """What was approved is still owed to dexter; nobody's credit grew but the referee's."""
    money = await life.money()
    assert money["payable:dexter"] == -2500
    assert {account for account in money if account.startswith(("credit:", "clearing:"))} <= {"credit:c-r1"}


# Claims and authority that changed between the approval and the payment.


async def test_a_refund_before_the_payment_voids_the_approval_and_asks_again(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    async with referrals_at_work(life):
        await life.tell("conversion.reversed", days_ago(1), order="o-r1", kind="refund", amount="20.00")
        row = await life.settled("r1", among=frozenset({"awaiting_approval"}))
        assert row.net_minor == 6000
    async with life.workers():
        await quiet(life, "r1")
        assert await life.money() == {}
        [decided] = await sql(life, "SELECT id FROM decision")
        effects = await sql(life, "SELECT effect FROM decision_effect WHERE decision_id = :id", id=decided.id)
        assert {effect for (effect,) in effects} == {"applied", "void"}
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
    assert await life.money() == {"expense:acme-friends": 3100, "credit:dexter": -2500, "credit:c-r1": -600}


async def test_a_refund_on_record_that_nobody_has_judged_yet_holds_the_payment_back(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    await life.record("conversion.reversed", days_ago(1), {"order": "o-r1", "kind": "refund"})
    target = (await payouts(life, "r1"))["referrer"]
    async with payouts_at_work(life):
        paying = asyncio.create_task(pay(life, target.id))
        # Told to try again later.
        await status_of(life.environment.client.get_workflow_handle(payout_workflow_id(str(target.id))))
        async with referrals_at_work(life):
            row = await life.settled("r1", among=frozenset({"denied"}))
        assert (row.reason, await paying) == ("conversion_reversed", "cancelled")
    assert await life.money() == {}


async def test_a_decision_on_another_digest_than_the_claims_decides_nothing(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1", digest="0" * 64)
        assert (await quiet(life, "r1")).status == "awaiting_approval"
    assert await life.money() == {}


async def test_approvals_count_only_with_the_role_and_by_two_people_where_the_terms_say_so(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    strict = PROGRAM.read_text().replace('four_eyes_from: "500.00"', 'four_eyes_from: "1.00"')
    async with scene(database_url, temporal_env, strict) as life, life.workers():
        await life.user("otto")
        await before_its_approver(life, "r1")
        for user, role in [("olga", Role.FINANCE), ("olga", Role.PROGRAM_OWNER), ("olga", Role.PROGRAM_OWNER)]:
            await life.decide("r1", user=user, roles=[role])
            assert (await quiet(life, "r1")).status == "awaiting_approval"
        assert await life.money() == {}
        await life.decide("r1", user="otto")
        await life.settled("r1", among=frozenset({"rewarded"}))
        assert await life.money() == books("r1")


@pytest.mark.parametrize("followed", [False, True], ids=["the last one", "with others after it"])
async def test_a_denial_that_was_deleted_still_keeps_the_payment_back(life: Installation, followed: bool) -> None:
    """The last one leaves no gap: but the head of the register is signed, too."""
    await approved_but_unsent(life, "r1", "r2")
    denied = await life.decide("r1", DecisionKind.DENY)
    if followed:
        await life.decide("r2", DecisionKind.HOLD)
    await sql(life, "ALTER TABLE decision DISABLE TRIGGER USER")
    await sql(life, "DELETE FROM decision WHERE id = :id", id=denied.id)
    async with payouts_at_work(life):
        assert await pay(life, (await payouts(life, "r1"))["referrer"].id) == "manual_review"
    assert not [account for account in await life.money() if account.startswith(("credit:", "clearing:"))]


async def test_an_approver_whom_nobody_knows_stops_what_is_not_sent(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    await sql(life, "DELETE FROM app_user WHERE name = 'olga'")
    async with payouts_at_work(life):
        for payout in (await payouts(life, "r1")).values():
            assert await pay(life, payout.id) == "manual_review"
    await _nothing_reached_the_referrer(life)


async def test_what_somebody_signed_who_was_barred_since_is_asked_for_anew_and_never_counts_again(
    life: Installation,
) -> None:
    await life.user("otto", Role.PROGRAM_OWNER)
    await approved_but_unsent(life, "r1")
    await sql(life, "UPDATE app_user SET barred_at = now() WHERE name = 'olga'")
    async with life.workers():
        await life.settled("r1", among=frozenset({"awaiting_approval"}))
        assert {payout.state for payout in (await payouts(life, "r1")).values()} == {"cancelled"}
        await sql(life, "UPDATE app_user SET barred_at = NULL WHERE name = 'olga'")
        for kind, stands in ((DecisionKind.HOLD, "on_hold"), (DecisionKind.RELEASE, "awaiting_approval")):
            await life.decide("r1", kind, user="otto")
            await life.settled("r1", among=frozenset({stands}))
        assert await life.money() == {}
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
    assert await life.money() == books("r1")


@pytest.mark.parametrize(
    ("status", "ends"),
    [(KeyStatus.ACTIVE, "settled"), (KeyStatus.RETIRED, "settled"), (KeyStatus.REVOKED, "manual_review")],
)
@pytest.mark.suite_has(2)
async def test_a_retired_key_still_vouches_and_a_revoked_one_does_not(
    life: Installation, status: KeyStatus, ends: str
) -> None:
    await approved_but_unsent(life, "r1")
    successor = Signer.generate()
    keys = KeyRing.of([life.signer.public_entry() | {"status": status}, successor.public_entry()])
    async with payouts_at_work(life, keys):
        assert await pay(life, (await payouts(life, "r1"))["referrer"].id) == ends


# Races.


async def test_ten_workflows_on_one_payout_pay_it_once(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    other = await Client.connect(
        life.environment.client.service_client.config.target_host, data_converter=pydantic_data_converter
    )
    beside = life.payouts_worker(client=other)
    async with payouts_at_work(life), beside:
        for payout in (await payouts(life, "r1")).values():
            ends = await asyncio.gather(
                *(pay(life, payout.id, as_workflow=f"again-{n}-{payout.id}") for n in range(10))
            )
            assert set(ends) == {"settled"}
    async with life.workers():
        await life.settled("r1", among=frozenset({"rewarded"}))
    assert await life.money() == books("r1")
    assert await sql(life, "SELECT key FROM ledger_transaction GROUP BY key HAVING count(*) > 1") == []
