"""Which generations of a payout's key were released, also where another amount was approved since."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.decisions.key_releases import Replaced, not_released, payout_digest
from referral_rewards.domain.payouts.history import Step
from referral_rewards.domain.payouts.payout import Leg, Payout
from referral_rewards.domain.payouts.states import LegState, PaymentRequest, PayoutState, body_hash
from referral_rewards.domain.programs.terms import Role
from tests.domain.build import at

_P = PayoutState
_ID, _AT = UUID(int=1), at("2026-06-01")
_RETRIED: Final = 10


def _leg(amount_minor: int = 2500, **changed: Any) -> Leg:
    leg = Leg(
        id=UUID(int=2), referral_id="r1", claim_id=UUID(int=3), digest="d", program="acme-friends", referrer="dexter",
        order_key="o1", role="referrer", beneficiary="dexter", kind="cash", amount_minor=amount_minor, currency="USD",
        rail="stripe_transfer", destination="acct_1", state=LegState.CANCELLED, approved_at=_AT, decisions=(),
        bound_to=None,
    )  # fmt: skip
    return replace(leg, **changed)


def _payout(leg: Leg, generation: int = 2) -> Payout:
    """The payout as it pays that leg."""
    where = (leg.pays_to, leg.program, leg.referral_id)
    body = PaymentRequest(_ID, leg.beneficiary, leg.amount_minor, leg.currency, *where).body()
    return Payout(
        id=_ID, referral_id="r1", cycle_id=None, payee=leg.beneficiary, rail=leg.rail, amount_minor=leg.amount_minor,
        currency=leg.currency, body=body, body_hash=body_hash(body), generation=generation,
        provider_key=f"{_ID}-{generation}", first_sent_at=_AT, key_used_at=None, missed_at=None,
        provider_reference=None, settled_at=None, due_at=None, state=_P.APPROVED, why=None, created_at=_AT,
        returns=None, updated_at=_AT,
    )  # fmt: skip


def _retried(leg: Leg, role: Role = Role.FINANCE) -> Decision:
    """Somebody retried the payout when it paid that leg and its first key was refused."""
    digest = payout_digest(_payout(leg, 1), 1, _P.REFUSED)
    return Decision(seq=_RETRIED, id=UUID(int=9), referral="r1", claim_id=_ID, digest=digest,
                    kind=MoneyAct.RETRY_PAYOUT, user="faye", roles=frozenset({role}), reason="other",
                    decided_at=_AT)  # fmt: skip


_REFUSED: Final = [Step(1, 1, _AT, "moved", "refused", None, None)]
_SINCE: Final = _RETRIED + 1


@pytest.mark.parametrize(
    ("retried", "pays", "replaced", "released"),
    [
        pytest.param(_leg(), _leg(), Replaced(), True, id="the same"),
        pytest.param(_leg(), _leg(2000), Replaced((_leg(),), _SINCE), True, id="another amount, approved since"),
        pytest.param(_leg(), _leg(2000), Replaced((_leg(1), _leg()), _SINCE), True, id="one of several before"),
        pytest.param(_leg(), _leg(beneficiary="mia"), Replaced((_leg(),), _SINCE), True, id="somebody else"),
        pytest.param(_leg(), _leg(rail="paypal_payouts"), Replaced((_leg(),), _SINCE), True, id="another rail"),
        pytest.param(_leg(bound_to="acct_2"), _leg(2000), Replaced((_leg(bound_to="acct_2"),), _SINCE), True,
                     id="bound to another account then"),
        pytest.param(_leg(), _leg(2000), Replaced((_leg(),), _RETRIED - 1), False, id="approved before the retry"),
        pytest.param(_leg(), _leg(2000), Replaced((_leg(),)), False, id="approved by nobody"),
        pytest.param(_leg(), _leg(2000), Replaced((), _SINCE), False, id="it never paid another leg"),
        pytest.param(_leg(), _leg(2000), Replaced((_leg(2400),), _SINCE), False, id="a leg of another amount"),
        pytest.param(_leg(), _leg(2000), Replaced((_leg(bound_to="acct_2"),), _SINCE), False, id="another account"),
    ],
)  # fmt: skip
def test_a_key_was_released_for_what_it_was_to_pay_then(
    retried: Leg, pays: Leg, replaced: Replaced, released: bool
) -> None:
    why = not_released(_payout(pays), _REFUSED, [_retried(retried)], (), replaced)
    assert (why is None) is released
    # A person reads what they can do.
    assert why is None or "Cancel it; if the reward is still owed, reopen the referral and approve it anew" in why


def test_only_finance_releases_and_only_what_was_refused() -> None:
    replaced = Replaced((_leg(),), _SINCE)
    assert not_released(_payout(_leg(2000)), _REFUSED, [_retried(_leg(), Role.OPERATIONS)], (), replaced) is not None
    assert not_released(_payout(_leg(2000)), [], [_retried(_leg())], (), replaced) is not None
