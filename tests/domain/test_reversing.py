"""What becomes of a reversal whose turn it is, and of one that its rail answered, in every state it may be in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.clawbacks.clawback import Clawback
from referral_rewards.domain.clawbacks.reversing import (
    Change,
    Dossier,
    Ends,
    Remarks,
    Reversed,
    Sends,
    Waits,
    decide,
    follows,
    found_by_a_person,
)
from referral_rewards.domain.clawbacks.states import UNDER_WAY, ClawbackKind, ClawbackState
from referral_rewards.domain.payouts.advice import NO_ANSWER, NOT_CONNECTED, PROBE, SECOND_LOOK
from referral_rewards.domain.payouts.hearing import Heard, Hearing, NotShown, Outcome, ShutOut
from referral_rewards.domain.payouts.moving import Halt
from referral_rewards.domain.payouts.states import LegState, PaymentRequest, PayoutState, body_hash

_S = ClawbackState
_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_BEFORE: Final = _NOW - timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
_RAIL: Final = "stripe_transfer"
_PAYMENT: Final = PaymentRequest(UUID(int=1), "dexter", 2500, "USD", "acct_1", "acme-friends", "r1").body()
_BODY: Final = {"clawback": "c", "pays_back": _PAYMENT, "reference": "tr_1", "amount_minor": 1000, "currency": "USD"}
_CLAWBACK: Final = Clawback(
    id=UUID(int=2),
    case_id=UUID(int=3),
    leg_id=UUID(int=4),
    payout_id=UUID(int=1),
    referral_id="r1",
    payee="dexter",
    kind=ClawbackKind.REVERSE,
    amount_minor=1000,
    currency="USD",
    recovered_minor=0,
    released_minor=0,
    body=_BODY,
    body_hash=body_hash(_BODY),
    generation=1,
    provider_key=f"{UUID(int=2)}-1",
    first_sent_at=None,
    missed_at=None,
    provider_reference=None,
    state=_S.APPROVED,
    why=None,
    decision_id=UUID(int=5),
    created_at=_BEFORE,
    updated_at=_BEFORE,
)
_PAID: Final = Reversed(_RAIL, PayoutState.SETTLED, LegState.PAID, _PAYMENT, "tr_1", ("tr_1",))
_SENT: Final = {"state": _S.REVERSING, "first_sent_at": _BEFORE}
_CAME_BACK: Final = {"payment": replace(_PAID, state=PayoutState.RETURNED)}
_NOT_UNDER_REFERENCE: Final = Remarks(
    _S.MANUAL_REVIEW, "its payment did not settle under the reference by which it would be taken back"
)
_NOT_ITS_KEY: Final = Remarks(_S.MANUAL_REVIEW, "the stored key is not its own")


def _dossier(its: dict[str, Any] | None = None, /, **changed: Any) -> Dossier:
    fine = Dossier(
        clawback=replace(_CLAWBACK, **(its or {})),
        payment=_PAID,
        program="acme-friends",
        decided=True,
        booked=False,
        claimed=True,
        halt=None,
    )
    return replace(fine, **changed)


@pytest.mark.parametrize(
    ("its", "changed", "change"),
    [
        ({}, {}, Sends(looks_first=False, probes=False)),
        (_SENT, {}, Sends(looks_first=True, probes=False)),
        ({"created_at": _NOW - 2 * _HOUR}, {}, Sends(looks_first=True, probes=False)),
        ({"body": {**_BODY, "amount_minor": 1}}, {},
         Remarks(_S.MANUAL_REVIEW, "the stored request is not the one that was frozen")),
        ({"provider_key": "other"}, {}, _NOT_ITS_KEY),
        ({"generation": 2, "provider_key": f"{UUID(int=2)}-2"}, {}, _NOT_ITS_KEY),
        ({"amount_minor": 999}, {}, Remarks(_S.MANUAL_REVIEW, "it is not of the payment that was made")),
        ({}, {"payment": replace(_PAID, body={**_PAYMENT, "payee": "brie"})},
         Remarks(_S.MANUAL_REVIEW, "it is not of the payment that was made")),
        ({}, {"payment": replace(_PAID, provider_reference="tr_2")}, _NOT_UNDER_REFERENCE),
        ({}, {"payment": replace(_PAID, settled_as=())}, _NOT_UNDER_REFERENCE),
        ({}, {"payment": replace(_PAID, settled_as=("tr_1", "tr_2"))}, _NOT_UNDER_REFERENCE),
        ({}, {"decided": False},
         Remarks(_S.MANUAL_REVIEW, "no signed decision of somebody with the authority takes it back")),
        ({}, {"booked": True}, Remarks(_S.MANUAL_REVIEW, "the books show that it was taken back already")),
        ({}, _CAME_BACK, Ends(_S.UNRECOVERABLE, "its payment came back by itself")),
        ({}, {"payment": replace(_PAID, leg_state=LegState.RESERVED)},
         Ends(_S.UNRECOVERABLE, "its payment came back by itself")),
        (_SENT, _CAME_BACK, Remarks(_S.MANUAL_REVIEW, "its payment came back while it was being taken back")),
        ({}, {"connected": False}, Waits("Stripe transfer is not connected", NOT_CONNECTED)),
        ({}, {"halt": Halt(_RAIL, _NOW, _NOW, "it answered 403")},
         Waits("Stripe transfer refused our credentials: it answered 403", PROBE)),
        ({}, {"halt": Halt(_RAIL, _NOW, _NOW - PROBE, "it answered 403")}, Sends(looks_first=False, probes=True)),
    ],
)  # fmt: skip
def test_a_reversal_is_sent_only_if_nothing_speaks_against_it(
    its: dict[str, Any], changed: dict[str, Any], change: Change | Sends
) -> None:
    assert decide(_dossier(its, **changed), _NOW) == change


@pytest.mark.parametrize("state", sorted(frozenset(ClawbackState) - UNDER_WAY))
def test_nothing_moves_a_reversal_that_is_over_or_before_a_person(state: ClawbackState) -> None:
    for hearing in (Heard(Outcome.DONE, None, "trr_1", 1000), ShutOut("403"), NotShown(), Heard(Outcome.REFUSED, "no")):
        assert follows(replace(_CLAWBACK, state=state, why="as before"), _RAIL, hearing, _NOW, _HOUR) == Waits(
            "as before"
        )
    assert decide(_dossier({"state": state}, decided=False), _NOW) == Waits("nothing more to do")


@pytest.mark.parametrize(
    ("its", "hearing", "change"),
    [
        ({}, Heard(Outcome.DONE, None, "trr_1", 1000), Ends(_S.REVERSED, None, "trr_1", 1000)),
        ({}, Heard(Outcome.DONE_IN_PART, "a part", "trr_1", 400), Ends(_S.PARTLY_REVERSED, "a part", "trr_1", 400)),
        ({}, Heard(Outcome.REFUSED, "too late"), Ends(_S.UNRECOVERABLE, "too late")),
        ({}, Heard(Outcome.UNKNOWN, "no answer", again_after=NO_ANSWER), Remarks(_S.UNKNOWN, "no answer", NO_ANSWER)),
        ({}, Heard(Outcome.DIFFERS, "it shows more"), Remarks(_S.MANUAL_REVIEW, "it shows more")),
        ({}, ShutOut("it answered 403"),
         Remarks(_S.REVERSING, "Stripe transfer refused our credentials: it answered 403", _HOUR)),
    ],
)  # fmt: skip
def test_each_answer_leads_to_its_own_end(its: dict[str, Any], hearing: Hearing, change: Change) -> None:
    assert follows(replace(_CLAWBACK, **_SENT, **its), _RAIL, hearing, _NOW, _HOUR) == change


def test_a_reversal_that_two_look_ups_do_not_show_goes_to_a_person() -> None:
    why = "an earlier attempt is on record, the rail shows none, and it is not safe to send it again"
    sent = replace(_CLAWBACK, **_SENT)
    first = follows(sent, _RAIL, NotShown(), _NOW, _HOUR)
    assert first == Remarks(_S.UNKNOWN, why, SECOND_LOOK, missed=True)
    early = follows(replace(sent, missed_at=_BEFORE), _RAIL, NotShown(), _NOW, _HOUR)
    assert early == Remarks(_S.UNKNOWN, why, SECOND_LOOK - (_NOW - _BEFORE), missed=True)
    second = follows(replace(sent, missed_at=_NOW - SECOND_LOOK), _RAIL, NotShown(), _NOW, _HOUR)
    assert second == Remarks(_S.MANUAL_REVIEW, why, None, missed=True)


def test_a_person_ends_what_is_in_review() -> None:
    assert found_by_a_person(_CLAWBACK, "trr_1") == Ends(_S.REVERSED, None, "trr_1", 1000)
    assert found_by_a_person(_CLAWBACK, None) == Ends(_S.UNRECOVERABLE, "a person found that it was not taken back")
