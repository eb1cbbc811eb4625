"""How much of what was taken may go back, and which return is sent."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.clawbacks.returning import Taken, flaw, request_of, return_id
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import LegState, PayoutState, body_hash, provider_key
from tests.domain.build import at

_P = PayoutState
_AT, _DECISION = at("2026-06-01"), UUID(int=7)
_TAKEN: Final = Taken(
    case=UUID(int=1), leg=UUID(int=2), referral="r1", program="acme-friends", payee="dexter", rail="stripe_transfer",
    currency="USD", leg_state=LegState.CLAWED_BACK, payout_state=_P.SETTLED, destination="acct_1", taken_minor=2500,
    returning_minor=0, replaced=False,
)  # fmt: skip


def _payout(amount_minor: int = 2500, to: str | None = "acct_1", **changed: Any) -> Payout:
    body = request_of(_DECISION, replace(_TAKEN, destination=to), amount_minor).body()
    name = return_id(_DECISION)
    payout = Payout(
        id=name, referral_id="r1", cycle_id=None, payee="dexter", rail="stripe_transfer", amount_minor=amount_minor,
        currency="USD", body=body, body_hash=body_hash(body), generation=1, provider_key=provider_key(name, 1),
        first_sent_at=None, key_used_at=None, missed_at=None, provider_reference=None, settled_at=None, due_at=None,
        state=_P.APPROVED, why=None, created_at=_AT, returns=_TAKEN.case, updated_at=_AT,
    )  # fmt: skip
    return replace(payout, **changed)


@pytest.mark.parametrize(
    ("changed", "room_minor"),
    [
        ({}, 2500),
        ({"returning_minor": 1}, 2499),
        ({"returning_minor": 2500}, 0),
        ({"returning_minor": 2501}, 0),
        ({"taken_minor": 0}, 0),
        ({"replaced": True}, 0),
        ({"leg_state": LegState.PAID}, 2500),
        *(({"payout_state": each}, 0) for each in (None, *sorted(set(_P) - {_P.SETTLED}))),
    ],
)
def test_what_was_taken_and_is_not_on_its_way_back_may_go_back(changed: dict[str, Any], room_minor: int) -> None:
    assert replace(_TAKEN, **changed).room_minor == room_minor


_SENT: Final = {"first_sent_at": _AT, "key_used_at": _AT}
_NOT_DECIDED = "no signed decision of somebody with the authority returns it"
_NOT_AS_DECIDED = "it does not pay what was decided"
_TOO_MUCH = "it sends back more than was taken"


@pytest.mark.parametrize(
    ("payout", "its", "given", "why"),
    [
        (_payout(), _TAKEN, {}, None),
        (_payout(1), _TAKEN, {}, None),
        (_payout(), None, {}, _NOT_DECIDED),
        (_payout(), _TAKEN, {"decision": None}, _NOT_DECIDED),
        (_payout(), _TAKEN, {"barred": "fiona"}, "fiona, who ordered it, was barred since"),
        (_payout(**_SENT), _TAKEN, {"barred": "fiona"}, None),
        (_payout(rail="paypal_payouts"), _TAKEN, {}, _NOT_AS_DECIDED),
        (_payout(payee="mia"), _TAKEN, {}, _NOT_AS_DECIDED),
        (_payout(currency="EUR"), _TAKEN, {}, _NOT_AS_DECIDED),
        (_payout(amount_minor=2400, body=_payout().body), _TAKEN, {}, _NOT_AS_DECIDED),
        (_payout(to="acct_2"), _TAKEN, {}, _NOT_AS_DECIDED),
        (_payout(**_SENT, to="acct_2"), _TAKEN, {}, _NOT_AS_DECIDED),
        # Finance redirected it since.
        (_payout(to="acct_2"), _TAKEN, {"bound_to": "acct_2"}, None),
        (_payout(to="acct_2"), _TAKEN, {"bound_to": "acct_3"}, _NOT_AS_DECIDED),
        (_payout(), _TAKEN, {"bound_to": "acct_2"}, _NOT_AS_DECIDED),
        (_payout(2501), _TAKEN, {}, _TOO_MUCH),
        (_payout(2500), replace(_TAKEN, returning_minor=1), {}, _TOO_MUCH),
        (_payout(), replace(_TAKEN, replaced=True), {}, _TOO_MUCH),
        (_payout(), replace(_TAKEN, payout_state=_P.RETURNED), {}, _TOO_MUCH),
        # What may have been sent is looked up, whatever became of the case since.
        (_payout(2501, **_SENT), _TAKEN, {}, None),
    ],
)
def test_a_return_is_sent_only_as_it_was_decided_and_within_what_was_taken(
    payout: Payout, its: Taken | None, given: dict[str, Any], why: str | None
) -> None:
    said: dict[str, Any] = {"decision": _DECISION, "barred": None, **given}
    assert flaw(payout, its, **said) == why


def test_a_return_has_an_id_of_its_own_for_each_decision() -> None:
    assert return_id(_DECISION) == return_id(_DECISION) != return_id(UUID(int=8))
    assert request_of(_DECISION, _TAKEN, 5).payout_id == return_id(_DECISION)
