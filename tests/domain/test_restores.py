"""What a restored register lacks of its mark, and what a payment that it forgot means for the payouts to come."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from referral_rewards.domain.books.reconciliation import Listed, ListedState, ReconciliationState
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.payouts.states import (
    Accepted,
    Paid,
    PaymentRequest,
    PayoutState,
    body_hash,
    payout_id,
    provider_key,
)
from referral_rewards.domain.restores.forgotten import (
    Adopts,
    AfterRestore,
    Forgotten,
    Goes,
    Reviews,
    Span,
    Stance,
    Waits,
    named_by,
    stance,
)
from referral_rewards.domain.restores.mark import Held, Mark, Newest, Record, lost, raised
from referral_rewards.domain.restores.reopening import Reconciled, rail_id, rail_of, remains

NOW: Final = datetime(2026, 7, 8, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
_R = Record


def mark(restores: int = 0, since: datetime = NOW, **ends: tuple[int, str]) -> Mark:
    return Mark(restores, {Record(name): Newest(*end) for name, end in ends.items()}, since)


TOLD: Final = [
    (None, mark(decisions=(3, "c")), mark(decisions=(3, "c"))),
    (mark(decisions=(3, "c")), mark(decisions=(4, "d")), mark(decisions=(4, "d"))),
    (mark(decisions=(3, "c")), mark(decisions=(2, "b")), mark(decisions=(3, "c"))),
    (mark(decisions=(3, "c")), mark(decisions=(3, "x")), mark(decisions=(3, "c"))),
    (mark(decisions=(3, "c")), mark(postings=(1, "p")), mark(decisions=(3, "c"), postings=(1, "p"))),
    (mark(decisions=(3, "c")), mark(), mark(decisions=(3, "c"))),
    # A register that recorded a restore begins anew, and an earlier one changes nothing.
    (mark(decisions=(9, "z")), mark(1, decisions=(3, "c")), mark(1, decisions=(3, "c"))),
    (mark(1, decisions=(3, "c")), mark(decisions=(9, "z")), mark(1, decisions=(3, "c"))),
    (mark(since=NOW - HOUR), mark(since=NOW), mark(since=NOW - HOUR)),
    (mark(since=NOW - HOUR), mark(1, since=NOW), mark(1, since=NOW - HOUR)),
]


@pytest.mark.parametrize(("kept", "told", "after"), TOLD)
def test_a_mark_is_only_raised(kept: Mark | None, told: Mark, after: Mark) -> None:
    assert raised(kept, told) == after
    assert raised(after, told) == after


KEPT: Final = mark(1, decisions=(7, "g"), payout_steps=(9, "i"))
HELD: Final = [
    (1, {_R.DECISIONS: "g", _R.PAYOUT_STEPS: "i"}, ()),
    (1, {_R.DECISIONS: "g", _R.PAYOUT_STEPS: None}, ("payout step 9",)),
    (1, {_R.DECISIONS: "x", _R.PAYOUT_STEPS: "i"}, ("decision 7",)),
    (1, {}, ("decision 7", "payout step 9")),
    # The loss is on record already.
    (2, {}, ()),
    (0, {_R.DECISIONS: "g", _R.PAYOUT_STEPS: "i"}, ("restore 1",)),
]


@pytest.mark.parametrize(("restores", "hashes", "lacks"), HELD)
def test_a_register_lacks_what_it_does_not_hold_of_its_mark(
    restores: int, hashes: dict[Record, str | None], lacks: tuple[str, ...]
) -> None:
    assert lost(KEPT, Held(restores, hashes)) == lacks


OWN: Final = payout_id("r1", "referrer")
OTHER: Final = payout_id("r1", "referrer", 2)


def payout(rail: str = "stripe_transfer", id_: UUID = OWN, **parts: Any) -> Payout:
    request = PaymentRequest(id_, "dexter", 2500, "USD", "acct_dexter", "acme", "r1")
    plain = Payout(
        id=id_, referral_id="r1", cycle_id=None, payee="dexter", rail=rail, amount_minor=2500, currency="USD",
        body=request.body(), body_hash=body_hash(request.body()), generation=1, provider_key=provider_key(id_, 1),
        first_sent_at=None, key_used_at=None, missed_at=None, provider_reference=None, settled_at=None, due_at=None,
        state=PayoutState.APPROVED, why=None, created_at=NOW - HOUR, updated_at=NOW - HOUR, returns=None,
    )  # fmt: skip
    return replace(plain, **parts)


def forgotten(names: UUID = OWN, **parts: Any) -> Forgotten:
    made_at = NOW - 48 * HOUR
    plain = Forgotten(
        uuid4(), "stripe_transfer", names, "tr_1", "dexter", "acct_dexter", 2500, "USD", ListedState.PAID, made_at
    )
    return replace(plain, **parts)


HALTED: Final = AfterRestore(NOW - 72 * HOUR, NOW - 2 * HOUR)
REOPENED: Final = replace(HALTED, reopened_at=NOW - HOUR / 2)
LONG_AGO: Final = replace(HALTED, restored_to=NOW - timedelta(days=40))
SHOWN: Final = Paid("tr_1", 2500, "USD", "acct_dexter")
BEFORE, SINCE = HALTED.halted_at - HOUR / 60, HALTED.halted_at
#: It was restored twice: the key of what the first restore lost is forgotten by now.
TWICE: Final = replace(REOPENED, earlier=(Span(NOW - timedelta(days=40), NOW - timedelta(days=38)),))
USED: Final[dict[str, Any]] = {"state": PayoutState.UNKNOWN, "first_sent_at": BEFORE, "key_used_at": BEFORE}
RETRIED: Final[dict[str, Any]] = {"generation": 2, "first_sent_at": BEFORE}

STANCES: Final = [
    # Its own payment is adopted, whatever its amount or state at the rail: what does not match goes to a person.
    (payout(), HALTED, [forgotten()], None, Adopts),
    (payout(), REOPENED, [forgotten()], None, Adopts),
    (payout(), None, [forgotten()], None, Adopts),
    (payout(**USED), HALTED, [forgotten()], None, Adopts),
    (payout(generation=2, first_sent_at=NOW), HALTED, [forgotten()], None, Adopts),
    (payout(), HALTED, [forgotten(OTHER, assigned_to=OWN)], None, Adopts),
    (payout(), HALTED, [forgotten(), forgotten(OTHER, assigned_to=OWN)], None, Reviews),
    # Other terms may send it over another rail than before.
    (payout("paypal_payouts"), None, [forgotten()], None, Reviews),
    (payout("account_credit"), HALTED, [forgotten()], None, Reviews),
    (payout("account_credit"), HALTED, [forgotten(OTHER)], None, Goes),
    # A payment of another payout to the same payee waits for a person; so does one that may be anybody's.
    (payout(), REOPENED, [forgotten(OTHER)], None, Waits),
    (payout(), REOPENED, [forgotten(OTHER, payee=None)], None, Waits),
    (payout(), REOPENED, [forgotten(OTHER, destination="acct_before")], None, Waits),
    (payout(), REOPENED, [forgotten(OTHER, payee="brie")], None, Waits),
    (payout(), REOPENED, [forgotten(OTHER, payee=None, destination=None)], None, Waits),
    (payout(), REOPENED, [forgotten(OTHER, payee=None, destination="acct_brie")], None, Waits),
    (payout(), REOPENED, [forgotten(OTHER, payee="brie", destination="acct_brie")], None, Goes),
    (payout(), REOPENED, [forgotten(OTHER, assigned_to=OTHER)], None, Goes),
    (payout(), REOPENED, [forgotten(OWN, assigned_to=OTHER)], None, Goes),
    # A rail that pays by our own ids shows the payee as its destination.
    (payout("tremendous"), REOPENED, [forgotten(OTHER, rail="tremendous", destination="dexter")], None, Waits),
    (payout("tremendous"), REOPENED, [forgotten(OTHER, rail="tremendous", payee="brie", destination="brie")], None,
     Goes),
    # A rail that can be asked is asked.
    (payout(), HALTED, [], None, Goes),
    (payout(**USED), LONG_AGO, [], None, Goes),
    # What people pay by hand can't be asked for, whenever the register heard of it again.
    (payout("manual"), HALTED, [], None, Reviews),
    (payout("manual"), HALTED, [], BEFORE, Reviews),
    (payout("manual"), REOPENED, [], BEFORE, Reviews),
    (payout("manual", created_at=NOW), REOPENED, [], BEFORE, Reviews),
    (payout("manual"), REOPENED, [], SINCE, Goes),
    (payout("manual"), None, [], None, Goes),
    # A person who released the next key since knows of the restore.
    (payout("manual", **RETRIED), REOPENED, [], BEFORE, Reviews),
    (payout("manual", **RETRIED), REOPENED, [], SINCE, Goes),
    (payout("manual", first_sent_at=NOW, key_used_at=NOW), HALTED, [], None, Goes),
    # Nor what a provider forgot.
    (payout("paypal_payouts"), HALTED, [], None, Goes),
    (payout("paypal_payouts"), LONG_AGO, [], BEFORE, Reviews),
    (payout("paypal_payouts"), LONG_AGO, [], SINCE, Goes),
    (payout("paypal_payouts"), TWICE, [], TWICE.earlier[0].found_at - HOUR, Reviews),
    (payout("paypal_payouts"), TWICE, [], TWICE.earlier[0].found_at, Goes),
    # A key that was used by then may have been refused since, and another one paid.
    (payout("paypal_payouts", **USED), HALTED, [], SINCE, Reviews),
    (payout("paypal_payouts", state=PayoutState.UNKNOWN, first_sent_at=NOW, key_used_at=NOW), HALTED, [], None, Goes),
    # Polling moves no money.
    (payout(state=PayoutState.ACCEPTED, first_sent_at=NOW), HALTED, [forgotten()], None, Goes),
]  # fmt: skip


@pytest.mark.parametrize(("its", "after", "open_", "since", "stands"), STANCES)
def test_a_payout_after_a_restore(
    its: Payout, after: AfterRestore | None, open_: list[Forgotten], since: datetime | None, stands: type[Stance]
) -> None:
    assert isinstance(stance(its, after, open_, NOW, since), stands)


def test_a_payout_is_adopted_by_what_the_rail_shows() -> None:
    adopted = stance(payout(), HALTED, [forgotten()], NOW, None)
    assert isinstance(adopted, Adopts)
    # The key may be as old as the restore: by then the provider may have forgotten it.
    assert (adopted.answer, adopted.since) == (SHOWN, HALTED.restored_to)


def test_a_payment_that_is_under_way_is_waited_for() -> None:
    adopted = stance(payout(), HALTED, [forgotten(state=ListedState.UNDER_WAY)], NOW, None)
    assert isinstance(adopted, Adopts)
    assert isinstance(adopted.answer, Accepted)
    assert adopted.answer.order == SHOWN


def test_a_rail_that_names_payees_shows_the_destination_of_the_request() -> None:
    adopted = stance(payout("tremendous"), HALTED, [forgotten(rail="tremendous", destination="dexter")], NOW, None)
    assert isinstance(adopted, Adopts)
    assert isinstance(adopted.answer, Paid)
    assert adopted.answer.destination == "acct_dexter"


LISTED: Final = Listed("tr_1", OWN, f"{OWN}-1", 2500, "USD", "acct_dexter")
NAMES: Final = [
    (LISTED, OWN),
    (replace(LISTED, payout=None), OWN),
    (replace(LISTED, payout=None, key=None), None),
    (replace(LISTED, payout=None, key="order 7"), None),
    (replace(LISTED, payout=uuid4()), None),
    (replace(LISTED, state=ListedState.UNDER_WAY), OWN),
    (replace(LISTED, state=ListedState.FAILED), None),
    (replace(LISTED, reversed_minor=2499), OWN),
    (replace(LISTED, reversed_minor=2500), None),
    (replace(LISTED, takes_back=True), None),
]


@pytest.mark.parametrize(("listed", "named"), NAMES)
def test_a_payment_is_ours_if_it_bears_an_id_of_ours_and_money_is_with_its_payee(
    listed: Listed, named: UUID | None
) -> None:
    assert named_by(listed) == named


_D = ReconciliationState
CLEAN: Final = Reconciled(uuid4(), _D.DONE, None, 0)
REMAINS: Final = [
    ("stripe_transfer", CLEAN, 0, ()),
    ("stripe_transfer", None, 0, ("reconcile the rail from",)),
    ("stripe_transfer", replace(CLEAN, state=_D.ASKED), 0, ("its reconciliation is in progress",)),
    ("stripe_transfer", replace(CLEAN, state=_D.LISTED), 0, ("its reconciliation is in progress",)),
    ("stripe_transfer", replace(CLEAN, state=_D.FAILED, why="it is shut"), 0, ("reconcile the rail again: the last",)),
    ("stripe_transfer", replace(CLEAN, unexplained=1), 0, ("clear up 1 difference of",)),
    ("stripe_transfer", CLEAN, 2, ("2 forgotten payments without a payee must be assigned",)),
    ("stripe_transfer", None, 1, ("reconcile the rail from", "1 forgotten payment without")),
    # The bank tells people, not us.
    ("manual", None, 0, ()),
]


@pytest.mark.parametrize(("rail", "reconciled", "nameless", "what"), REMAINS)
def test_a_rail_is_opened_once_nothing_remains(
    rail: str, reconciled: Reconciled | None, nameless: int, what: tuple[str, ...]
) -> None:
    found = remains(rail, reconciled, nameless)
    assert len(found) == len(what)
    assert all(each.startswith(start) for each, start in zip(found, what, strict=True))


@pytest.mark.parametrize("rail", sorted(CATALOGUE))
def test_a_rail_is_known_by_its_id(rail: str) -> None:
    assert rail_of(rail_id(rail)) == rail


def test_another_id_names_no_rail() -> None:
    assert rail_of(OWN) is None
