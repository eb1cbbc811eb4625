"""What becomes of a payout whose turn it is: every reason that can stop it, in every state that it may be in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.facts.events import CLOCK_SKEW_MAX
from referral_rewards.domain.payouts.advice import CYCLE_STOPPED, NOT_CONNECTED, PROBE, SOON, UNTIL_EXPORTED
from referral_rewards.domain.payouts.attempt import (
    Approved,
    Change,
    Changed,
    CycleStanding,
    Dossier,
    Drops,
    Evidence,
    Examine,
    GoesBack,
    IsTooLittle,
    JudgesAgain,
    Polls,
    Sends,
    Share,
    Silent,
    Stops,
    Unauthorised,
    Waits,
    decide,
)
from referral_rewards.domain.payouts.moving import Halt
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import AT_REST, PaymentRequest, PayoutState, body_hash

_P = PayoutState
_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_BEFORE: Final = _NOW - timedelta(minutes=5)
_MINUTE, _MICROSECOND = timedelta(minutes=1), timedelta(microseconds=1)
_BODY: Final = PaymentRequest(UUID(int=1), "dexter", 2500, "USD", "acct_1", "acme-friends", "r1").body()
_PAYOUT: Final = Payout(
    id=UUID(int=1),
    referral_id="r1",
    cycle_id=None,
    payee="dexter",
    rail="stripe_transfer",
    amount_minor=2500,
    currency="USD",
    body=_BODY,
    body_hash=body_hash(_BODY),
    generation=1,
    provider_key=f"{UUID(int=1)}-1",
    first_sent_at=None,
    key_used_at=None,
    missed_at=None,
    provider_reference=None,
    settled_at=None,
    due_at=None,
    state=_P.APPROVED,
    why=None,
    created_at=_BEFORE,
    returns=None,
    updated_at=_BEFORE,
)
_FINE: Final = Evidence(None, (Share("r1", Approved()),))
_SENDS: Final = Sends(first_of=("r1",), may_resend=True, probes=False)
#: A payout that was sent before, in the states in which it may still be sent or asked for.
_SENT: Final = {"first_sent_at": _BEFORE, "key_used_at": _BEFORE}
_JUST_HALTED: Final = Halt("stripe_transfer", _NOW, _NOW, "it answered 403")
_TO_BE_PROBED: Final = Halt("stripe_transfer", _NOW, _NOW - PROBE, "it answered 403")


def _dossier(its: dict[str, Any] | None = None, /, **changed: Any) -> Dossier:
    row = replace(_PAYOUT, **(its or {}))
    fine = Dossier(payout=row, known=row, now=_NOW, locked=("r1",), named=("r1",), evidence=_FINE)
    return replace(fine, **changed)


def _shares(*shares: Share) -> Evidence:
    return Evidence(None, shares)


def test_an_approved_payout_is_sent_for_the_first_time() -> None:
    assert decide(_dossier()) == _SENDS


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        ({"locked": (), "named": ()}, Stops("there is no such referral")),
        ({"named": ("r0", "r1"), "strangers": frozenset({"r0"})}, Stops("there is no such referral")),
        ({"named": ("r1", "r2")}, Waits("what it pays changes just now", SOON)),
        ({"locked": ("r1", "r2")}, Waits("what it pays changes just now", SOON)),
        ({"known": replace(_PAYOUT, payee="mallory")}, Waits("what it pays changes just now", SOON)),
        ({"known": replace(_PAYOUT, cycle_id=UUID(int=9))}, Waits("what it pays changes just now", SOON)),
        ({"payout": replace(_PAYOUT, body={**_BODY, "amount_minor": 1})},
         Stops("the stored request is not the one that was frozen")),
        ({"flaw": "the stored key is not its own"}, Stops("the stored key is not its own")),
        ({"halt": _JUST_HALTED}, Waits("Stripe transfer refused our credentials: it answered 403", PROBE)),
        ({"halt": _TO_BE_PROBED}, replace(_SENDS, probes=True)),
        ({"evidence": None}, Examine()),
        ({"evidence": Evidence("it does not pay what was approved", ())}, Stops("it does not pay what was approved")),
        ({"evidence": _shares(Share("r1", Unauthorised("nobody approved it")))}, Stops("nobody approved it")),
        ({"evidence": _shares(Share("r1", Silent("it is silent", _MINUTE)))}, Waits("it is silent", _MINUTE)),
        ({"evidence": _shares(Share("r1", Changed("it was refunded")))}, JudgesAgain(("r1",), "it was refunded")),
        ({"evidence": _shares(Share("r1", Changed("it was refunded"), paying=True))}, Stops("it was refunded")),
        ({"connected": False}, Waits("Stripe transfer is not connected", NOT_CONNECTED)),
        ({"evidence": _shares(Share("r1", Approved(), judged=False))},
         Waits("facts arrived that were not judged yet", SOON)),
        ({"evidence": _shares(Share("r1", Approved(), payable=False, standing="on hold"))},
         Waits("referral r1 is on hold", SOON)),
        ({"evidence": _shares(Share("r1", Approved(_MINUTE)))},
         Waits("something was told that is about to happen", _MINUTE + SOON)),
        ({"evidence": _shares(Share("r1", Approved(timedelta(days=9))))},
         Waits("something was told that is about to happen", CLOCK_SKEW_MAX + SOON)),
        ({"evidence": _shares(Share("r1", Approved(), paying=True))}, replace(_SENDS, first_of=())),
        ({"payout": replace(_PAYOUT, amount_minor=0)}, replace(_SENDS, settles_at_once=True)),
    ],
)  # fmt: skip
def test_each_reason_stops_an_unsent_payout_in_its_own_way(changed: dict[str, Any], change: Change) -> None:
    assert decide(_dossier(**changed)) == change


_TO_EXPORT: Final = Waits("its instruction waits to be exported", UNTIL_EXPORTED)
_BEFORE_IT: Final = Waits("its instruction was exported before")
_NO_PROBE: Final = Waits("bank transfer by hand refused our credentials: it answered 403")


@pytest.mark.parametrize(
    ("row", "changed", "change"),
    [
        ({}, {}, _TO_EXPORT),
        ({}, {"exports": True}, _SENDS),
        ({}, {"evidence": _shares(Share("r1", Changed("refunded")))}, JudgesAgain(("r1",), "refunded")),
        ({}, {"evidence": _shares(Share("r1", Changed("refunded"))), "exports": True},
         JudgesAgain(("r1",), "refunded")),
        ({}, {"evidence": _shares(Share("r1", Unauthorised("nobody"))), "exports": True}, Stops("nobody")),
        ({}, {"evidence": _shares(Share("r1", Silent("silent", _MINUTE))), "exports": True}, Waits("silent", _MINUTE)),
        ({}, {"flaw": "the stored key is not its own", "exports": True}, Stops("the stored key is not its own")),
        # A new generation is exported anew.
        ({"first_sent_at": _BEFORE, "generation": 2}, {}, _TO_EXPORT),
        ({"first_sent_at": _BEFORE, "generation": 2}, {"exports": True}, _SENDS),
        ({"state": _P.SENDING, "first_sent_at": _BEFORE, "key_used_at": _BEFORE}, {"exports": True}, _BEFORE_IT),
        ({"state": _P.ACCEPTED, "first_sent_at": _BEFORE, "key_used_at": _BEFORE, "provider_reference": "key"},
         {"exports": True}, _BEFORE_IT),
        ({"state": _P.PLANNED}, {"exports": True}, Waits("nobody has released it")),
        ({"state": _P.REFUSED, "why": "not paid"}, {"exports": True}, Waits("not paid")),
        ({}, {"halt": _TO_BE_PROBED._replace(rail="manual"), "exports": True}, _NO_PROBE),
        # Nothing is handed out where deductions leave nothing to pay.
        ({"amount_minor": 0}, {}, replace(_SENDS, settles_at_once=True)),
    ],
)  # fmt: skip
def test_a_payment_by_hand_is_sent_by_exporting_its_instruction_alone(
    row: dict[str, Any], changed: dict[str, Any], change: Change
) -> None:
    assert decide(_dossier({"rail": "manual", **row}, **changed)) == change


@pytest.mark.parametrize("state", sorted(AT_REST | {_P.WAITING_FUNDS}))
def test_nothing_moves_a_payout_that_a_person_must_move(state: PayoutState) -> None:
    """Whatever else holds: evidence for its approval is not even looked for."""
    for why, evidence, halt in product((None, "closed"), (None, _FINE), (None, _TO_BE_PROBED)):
        its = _dossier({"state": state, "why": why}, evidence=evidence, halt=halt, connected=False)
        assert decide(its) == Waits(why or "nothing more to do")


def test_what_nobody_released_is_not_sent() -> None:
    assert decide(_dossier({"state": _P.PLANNED})) == Waits("nobody has released it")
    in_a_cycle = _dossier({"state": _P.PLANNED, "cycle_id": UUID(int=9)}, cycle=CycleStanding())
    assert decide(in_a_cycle) == Waits("its cycle is being released")


@pytest.mark.parametrize("state", sorted(PayoutState))
@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("used", [False, True])
def test_only_an_approved_and_current_claim_is_ever_sent(state: PayoutState, sent: bool, used: bool) -> None:
    """The full product of a payout's states and of what its approval may be worth: without a person nothing is sent,
    and what may have been sent is only looked up once its claim changed."""
    row = {"state": state, "first_sent_at": _BEFORE if sent else None, "key_used_at": _BEFORE if used else None}
    verdicts = (Approved(), Approved(_MINUTE), Changed("changed"), Unauthorised("nobody"), Silent("silent", _MINUTE))
    flags = product(verdicts, (True, False), (True, False), (True, False), (None, "flaw"), (None, "flaw"))
    for verdict, judged, payable, connected, flaw, flaw_of_key in flags:
        share = Share("r1", verdict, judged=judged, payable=payable)
        change = decide(_dossier(row, evidence=Evidence(flaw, (share,)), flaw=flaw_of_key, connected=connected))
        if not isinstance(change, Sends):
            continue
        assert state not in AT_REST | {_P.PLANNED, _P.WAITING_FUNDS}
        assert (flaw, flaw_of_key, connected) == (None, None, True)
        assert isinstance(verdict, Approved) or (isinstance(verdict, Changed) and sent and used)
        assert change.may_resend is isinstance(verdict, Approved)
        assert used or (judged and verdict == Approved() and payable)
        assert not used or change.first_of == ()


@pytest.mark.parametrize(
    ("payout", "changed", "change"),
    [
        ({"state": _P.SENDING, **_SENT}, {}, Sends((), may_resend=True, probes=False)),
        ({"state": _P.UNKNOWN, **_SENT}, {"evidence": _shares(Share("r1", Approved(), judged=False))},
         Sends((), may_resend=True, probes=False)),
        ({"state": _P.UNKNOWN, **_SENT}, {"evidence": _shares(Share("r1", Changed("it was refunded")))},
         Sends((), may_resend=False, probes=False)),
        ({"state": _P.SENDING, "first_sent_at": _BEFORE}, {"evidence": _shares(Share("r1", Changed("refunded")))},
         Stops("refunded")),
        ({"state": _P.ACCEPTED, "provider_reference": "po_1", **_SENT}, {"evidence": None}, Polls(probes=False)),
        ({"state": _P.ACCEPTED, "provider_reference": "po_1", **_SENT}, {"halt": _TO_BE_PROBED}, Polls(probes=True)),
        ({"state": _P.ACCEPTED, "provider_reference": "po_1", **_SENT}, {"connected": False},
         Waits("Stripe transfer is not connected", NOT_CONNECTED)),
    ],
)  # fmt: skip
def test_what_was_sent_is_looked_up_and_never_paid_for_another_reason(
    payout: dict[str, Any], changed: dict[str, Any], change: Change
) -> None:
    assert decide(_dossier(payout, **changed)) == change


@pytest.mark.parametrize(
    ("payout", "change"),
    [
        ({}, Waits("acme-friends is paused")),
        ({"state": _P.SENDING, "first_sent_at": _BEFORE}, Waits("acme-friends is paused")),
        ({"state": _P.UNKNOWN, **_SENT}, Sends((), may_resend=True, probes=False)),
        ({"state": _P.ACCEPTED, "provider_reference": "po_1", **_SENT}, Polls(probes=False)),
    ],
)
def test_a_pause_holds_back_what_no_rail_has_seen_and_nothing_else(payout: dict[str, Any], change: Change) -> None:
    assert decide(_dossier(payout, paused="acme-friends is paused")) == change


@pytest.mark.parametrize(
    ("payout", "cycle", "change"),
    [
        ({}, CycleStanding(exists=False), GoesBack("there is no such cycle")),
        ({}, CycleStanding(why_not="its cycle is stopped"), GoesBack("its cycle is stopped")),
        ({"state": _P.SENDING, **_SENT}, CycleStanding(why_not="its cycle is stopped"),
         Waits("its cycle is stopped", CYCLE_STOPPED)),
        ({"state": _P.ACCEPTED, "provider_reference": "po_1", **_SENT}, CycleStanding(why_not="its cycle is stopped"),
         Polls(probes=False)),
        ({}, CycleStanding(too_little=True),
         IsTooLittle("what is left of it is below the least that is paid in a cycle")),
        ({"state": _P.SENDING, **_SENT}, CycleStanding(too_little=True),
         Sends((), may_resend=True, probes=False)),
        ({}, CycleStanding(), _SENDS),
    ],
)  # fmt: skip
def test_a_payout_of_a_cycle_needs_the_release_of_its_cycle_too(
    payout: dict[str, Any], cycle: CycleStanding, change: Change
) -> None:
    assert decide(_dossier({"cycle_id": UUID(int=9), "referral_id": None, **payout}, cycle=cycle)) == change


def test_of_a_cycles_payout_only_the_changed_rewards_leave() -> None:
    shares = (Share("r1", Approved()), Share("r2", Changed("refunded"), paying=True), Share("r3", Changed("moved")))
    its = _dossier(
        {"cycle_id": UUID(int=9), "referral_id": None}, cycle=CycleStanding(), evidence=_shares(*shares),
        locked=("r1", "r2", "r3"), named=("r1", "r2", "r3"),
    )  # fmt: skip
    assert decide(its) == Drops((("r2", "refunded"), ("r3", "moved")), "refunded")
    forged = replace(its, evidence=_shares(*shares, Share("r4", Unauthorised("nobody approved it"))))
    assert decide(forged) == Stops("nobody approved it")
