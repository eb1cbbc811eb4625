"""Whatever fails in whatever order: in the end the provider's list equals what we hold as paid."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.sending import ask
from referral_rewards.domain.books.reconciliation import Difference, ListedPage, Ours, compare
from referral_rewards.domain.payouts.moving import ToSend
from referral_rewards.domain.payouts.rail_catalogue import NAMED_BY_PAYEE, Sight
from referral_rewards.domain.payouts.states import Accepted, Declined, Paid, PayoutState, matches
from referral_rewards.local.sandbox.provider import Fault
from tests.rails.cases import OUTSIDE, Case, key

#: TOO_SLOW is left to the contract: it has to be waited for.
_FAULTS = st.sampled_from([fault for fault in Fault if fault is not Fault.TOO_SLOW])
_STEPS = st.lists(
    st.tuples(_FAULTS, st.sampled_from(["POST", "GET"]), st.sampled_from([0, 5, 90, 60 * 15, 60 * 26, 60 * 24 * 31])),
    max_size=8,
)
#: Tries after which everything works again and nothing can stay open that the rail does not keep open itself.
_TRIES = 6


@pytest.mark.parametrize("name", OUTSIDE)
@settings(derandomize=True, max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=_STEPS)
@pytest.mark.suite_has(2)
async def test_what_the_provider_paid_is_what_we_hold_as_paid(
    name: str, schedule: Sequence[tuple[Fault, str, int]]
) -> None:
    async with OUTSIDE[name]() as case:
        holds = await _live_through(case, schedule)
        shown = case.paid()
        assert len(shown) <= 1
        if holds == "paid":
            asked = case.request()
            assert shown == [(key(asked), 2500, "USD", asked.destination)]
            assert await _differences(case) == []
        else:
            # It is before a person, never refused: nothing that a fault of the provider's says is a refusal.
            assert holds == "review"
            assert case.rail.facts.key_window is not None


async def _differences(case: Case) -> list[Difference]:
    """What a reconciliation would find, all that the rail lists being of the one payout."""
    if case.rail.facts.sight is Sight.OURS:
        return []
    case.provider.heal()
    asked, now = case.request(), case.provider.clock.now
    whom = asked.payee if case.rail.facts.name in NAMED_BY_PAYEE else asked.destination
    ours = Ours(asked.payout_id, key(asked), PayoutState.SETTLED, asked.amount_minor, asked.currency, whom)
    page = await case.rail.listed(now - timedelta(days=400), now + timedelta(days=1), case.destination, None)
    assert isinstance(page, ListedPage)
    assert all(each.payout == asked.payout_id for each in page.payments)
    return compare(ours, page.payments)


async def _live_through(case: Case, schedule: Sequence[tuple[Fault, str, int]]) -> str:
    """Carries a payout on as its activity does, through each fault, and then to its end."""
    asked, first_sent_at, accepted_as = case.request(), None, None
    for fault, method, minutes in [*schedule, *[(None, "", 60 * 6)] * _TRIES]:
        case.provider.heal()
        if fault is not None:
            case.provider.fail(fault, method=method)
        now = case.provider.clock.now
        step = ToSend(asked, case.rail.facts.name, key(asked), first_sent_at, True, accepted_as)
        answer = await ask(case.rail, step, now)
        first_sent_at = first_sent_at or now
        match answer:
            case Paid() as paid:
                assert matches(asked, paid)
                return "paid"
            case Accepted(order, _):
                assert matches(asked, order)
                accepted_as = order.reference
            case Declined():
                raise AssertionError(answer)
            case None:
                return "review"
        case.provider.clock.pass_time(timedelta(minutes=minutes))
    raise AssertionError(f"it stays open: {answer}")
