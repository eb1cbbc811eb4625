"""When a person can be erased: the table of what is open, over every state."""

from uuid import UUID

import pytest

from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.persons.erasing import Affairs, waits_for
from referral_rewards.domain.referrals.lifecycle import ReferralStatus

ONE = UUID(int=1)
_R, _L, _P, _C, _B = ReferralStatus, LegState, PayoutState, CaseState, ClawbackState
#: Nothing of the person's is open in these; in every other one something is.
OVER = {
    "referrals": {_R.INVITED, _R.PURCHASED_UNCLAIMED, _R.REWARDED, _R.CLAWED_BACK, _R.EXPIRED, _R.DENIED, _R.WITHDRAWN},
    "legs": {_L.PAID, _L.CANCELLED, _L.CLAWED_BACK},
    "payouts": {_P.SETTLED, _P.CANCELLED},
    "cases": {_C.DECIDED, _C.DISMISSED},
    "clawbacks": {
        *(_B.REVERSED, _B.PARTLY_REVERSED, _B.UNRECOVERABLE, _B.OFFSET, _B.WRITTEN_OFF),
        _B.OFFSETTING,  # it is deducted from whatever is paid later, by the payee's id
    },
}
STATES = {"referrals": _R, "legs": _L, "payouts": _P, "cases": _C, "clawbacks": _B}


@pytest.mark.parametrize(("of", "state"), [(of, state) for of, states in STATES.items() for state in states])
def test_it_waits_while_something_is_open(of: str, state: str) -> None:
    name: object = "r1" if of == "referrals" else ONE
    waits = waits_for(Affairs(**{of: ((name, state),)}))  # type: ignore[arg-type]
    assert bool(waits) == (state not in OVER[of])
    assert all(str(name) in each and state.replace("_", " ") in each for each in waits)


def test_it_says_all_that_is_open() -> None:
    its = Affairs(referrals=(("r1", _R.PAYING), ("r2", _R.EXPIRED)), payouts=((ONE, _P.UNKNOWN),))
    assert waits_for(its) == ("referral r1 is paying", f"payout {ONE} is unknown")
    assert waits_for(Affairs()) == ()
