"""How the disputes of an order end, and what they and its reversals took of it."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.errors import FactInvalid
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import DisputeOutcome
from referral_rewards.domain.referrals.conversions import Conversion, conversions
from referral_rewards.domain.referrals.disputes import TAKES, disputes
from tests.domain.build import acme, bought, fact, reversed_, sent

TERMS = acme()
WHO = sent("2026-06-01").identity
BOUGHT = bought("2026-07-01")


def opened(day: int, **data: Any) -> Fact:
    return fact("conversion.dispute_opened", f"2026-07-{day:02}", {"order": "o1", **data})


def closed(day: int, outcome: str, **data: Any) -> Fact:
    return fact("conversion.dispute_closed", f"2026-07-{day:02}", {"order": "o1", "outcome": outcome, **data})


def refund(day: int, amount: str | None = None) -> Fact:
    return reversed_(f"2026-07-{day:02}", amount=amount)


def chargeback(day: int, amount: str | None = None) -> Fact:
    return reversed_(f"2026-07-{day:02}", amount=amount, kind="chargeback_lost")


def of(*facts: Fact, amount: str | None = "80.00") -> Conversion:
    (found,) = conversions([bought("2026-07-01", amount=amount), *facts], WHO, TERMS)
    return found


A, B = {"dispute": "d-a"}, {"dispute": "d-b"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((), []),
        ((opened(20),), ["open"]),
        ((opened(20), closed(22, "won")), ["nothing_taken"]),
        ((opened(20), closed(22, "inquiry_closed")), ["nothing_taken"]),
        ((opened(20), closed(22, "lost")), ["taken"]),
        ((opened(20), closed(22, "refunded")), ["taken"]),
        ((opened(20), closed(22, "prevented")), ["taken"]),
        ((opened(20), chargeback(28)), ["reversed"]),
        ((opened(20), closed(22, "lost"), chargeback(28)), ["taken"]),
        ((opened(20), closed(22, "won"), chargeback(28)), ["nothing_taken"]),
        ((opened(20), closed(22, "won"), opened(25)), ["nothing_taken", "open"]),
        ((opened(20), closed(22, "won"), opened(25), closed(27, "lost")), ["nothing_taken", "taken"]),
        ((opened(20), closed(22, "won"), opened(25), chargeback(28)), ["nothing_taken", "reversed"]),
        ((opened(20), refund(21, "5.00")), ["open"]),
        ((chargeback(28),), []),
        # Ids
        ((opened(20, **A), opened(21, **B), closed(22, "won", **B)), ["open", "nothing_taken"]),
        ((opened(20, **A), closed(22, "won", **A), closed(23, "lost", **A)), ["taken"]),
        ((opened(20, **A), opened(21, **A), closed(22, "won", **A)), ["nothing_taken"]),
        ((closed(20, "lost", **A), opened(22, **A)), ["taken"]),
        ((opened(20, **A), opened(21), closed(22, "won")), ["nothing_taken", "open"]),
        ((opened(20, **A), opened(21), closed(22, "won", **B)), ["open", "nothing_taken"]),
        ((opened(20), closed(22, "won", **B), closed(23, "lost", **B)), ["taken"]),
        ((opened(20, **A), closed(22, "won", **B)), ["open", "nothing_taken"]),
        # More closings than openings
        ((opened(20), closed(22, "won"), closed(23, "lost")), ["taken"]),
        ((opened(20), closed(22, "lost"), closed(23, "lost")), ["taken"]),
        ((closed(22, "lost"),), ["taken"]),
        ((closed(22, "lost"), closed(23, "lost")), ["taken"]),
        ((closed(22, "won"), opened(23)), ["nothing_taken", "open"]),
        ((closed(20, "won"), opened(20)), ["nothing_taken"]),
    ],
)
def test_disputes_end_as_their_facts_say_in_whatever_order_those_arrive(
    said: tuple[Fact, ...], expected: list[str]
) -> None:
    for arrived in permutations(said):
        assert [each.state for each in disputes(arrived)] == expected


@pytest.mark.parametrize(
    ("why", "facts", "net_minor", "conflict"),
    [
        ("an open one takes nothing", [opened(20, amount="30.00")], 8000, False),
        ("a won one takes nothing", [opened(20), closed(22, "won", amount="30.00")], 8000, False),
        ("nor an inquiry", [opened(20), closed(22, "inquiry_closed", amount="30.00")], 8000, False),
        ("a lost one what it names", [opened(20, amount="20.00"), closed(22, "lost", amount="30.00")], 5000, False),
        ("else what its opening names", [opened(20, amount="20.00"), closed(22, "lost")], 6000, False),
        ("else all", [opened(20), closed(22, "lost")], 0, False),
        ("without an opening too", [closed(22, "lost", amount="30.00")], 5000, False),
        ("its reversal is the same loss", [closed(22, "lost"), chargeback(28)], 0, False),
        ("in parts too", [closed(22, "lost", amount="30.00"), chargeback(28, "10"), chargeback(29, "20")], 5000, False),
        ("the larger counts: the closing", [closed(22, "lost", amount="30.00"), chargeback(28, "20")], 5000, True),
        ("the larger counts: the reversal", [closed(22, "lost", amount="20.00"), chargeback(28, "30")], 5000, True),
        ("a refund is another loss", [closed(22, "lost", amount="30.00"), refund(23, "10")], 4000, False),
        ("a return is not the refund", [closed(22, "refunded", amount="30.00"),
                                        reversed_("2026-07-23", amount="10", kind="return")], 4000, False),
        ("refunded takes what it names", [opened(20), closed(22, "refunded", amount="30.00")], 5000, False),
        ("prevented too", [opened(20, amount="30.00"), closed(22, "prevented")], 5000, False),
        ("its refund is the same loss", [closed(22, "refunded", amount="30.00"), refund(23, "30.00")], 5000, False),
        ("with neither what refunds tell", [closed(22, "refunded"), refund(23, "10"), refund(24, "5")], 6500, False),
        ("and all if none is told", [closed(22, "prevented")], 0, False),
        ("a chargeback is no refund", [closed(22, "refunded"), chargeback(23, "10.00")], 0, False),
        ("two lost ones add up", [opened(20, **A), opened(21, **B), closed(22, "lost", amount="30.00", **A),
                                  closed(23, "lost", amount="20.00", **B)], 3000, False),
        ("one told twice is one", [opened(20, **A), closed(22, "lost", amount="30.00", **A),
                                   closed(23, "lost", amount="30.00", **A)], 5000, False),
        ("the one against us stands", [opened(20, **A), closed(22, "lost", amount="30.00", **A),
                                       closed(23, "won", **A)], 5000, True),
        ("whichever came first", [opened(20), closed(22, "won"), closed(23, "refunded", amount="5.00")], 7500, True),
        ("two that took nothing agree", [opened(20), closed(22, "won"), closed(23, "inquiry_closed")], 8000, False),
        ("two amounts differ", [opened(20, **A), closed(22, "lost", amount="30.00", **A),
                                closed(23, "lost", amount="20.00", **A)], 5000, True),
        ("never below nothing", [closed(22, "lost", amount="300.00")], 0, False),
    ],
)  # fmt: skip
def test_what_a_dispute_took_counts_once(why: str, facts: list[Fact], net_minor: int, conflict: bool) -> None:
    for told in permutations([BOUGHT, *facts]):
        (found,) = conversions(told, WHO, TERMS)
        assert found.net_minor == net_minor, why
        assert bool(found.conflicts) is conflict, why


@pytest.mark.parametrize("outcome", DisputeOutcome)
def test_without_an_amount_a_conversion_counts_until_something_was_taken(outcome: DisputeOutcome) -> None:
    assert of(closed(22, outcome), amount=None).counts is (TAKES[outcome] is None)


@pytest.mark.parametrize("outcome", DisputeOutcome)
def test_an_outcome_is_read_in_letters_of_either_case(outcome: DisputeOutcome) -> None:
    for written in (outcome.upper(), outcome.capitalize(), outcome.value):
        assert closed(22, written).data["outcome"] == outcome


def test_another_word_is_refused_with_the_list() -> None:
    with pytest.raises(FactInvalid) as refused:
        closed(22, "warning_closed")
    (problem,) = refused.value.problems
    assert problem.where == "data.outcome"
    assert all(outcome in problem.what for outcome in DisputeOutcome)


def test_the_facts_that_took_are_told() -> None:
    lost, won = closed(22, "lost", **A), closed(23, "won", **B)
    assert of(opened(20, **A), opened(21, **B), lost, won).taken_by == (lost,)


_AMOUNTS = st.sampled_from([None, "5.00", "20.00", "80.00"])
_IDS = st.sampled_from([{}, A, B])


@st.composite
def _facts(draw: st.DrawFn) -> list[Fact]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        day, amount, its = 2 + draw(st.integers(0, 3)), draw(_AMOUNTS), draw(_IDS)
        said = {**({"amount": amount} if amount else {}), **its}
        what = draw(st.sampled_from(["opened", "closed", "reversed"]))
        if what == "opened":
            found.append(opened(day, note=str(number), **said))
        elif what == "closed":
            found.append(closed(day, draw(st.sampled_from(DisputeOutcome)), note=str(number), **said))
        else:
            kind = draw(st.sampled_from(["refund", "chargeback_lost", "return"]))
            found.append(reversed_(f"2026-07-{day:02}", amount=amount, kind=kind, event_id=f"e{number}"))
    return found


@given(_facts(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_never_matters(facts: list[Fact], chance: Any) -> None:
    shuffled = list(facts)
    chance.shuffle(shuffled)
    one, other = of(*facts), of(*shuffled)
    assert (one.net_minor, one.conflicts, one.disputes) == (other.net_minor, other.conflicts, other.disputes)


@given(_facts(), st.sampled_from(["lost", "refunded", "prevented"]), _AMOUNTS)
def test_one_more_closing_against_us_never_leaves_more(facts: list[Fact], outcome: str, amount: str | None) -> None:
    said = {"amount": amount} if amount else {}
    after = of(*facts, closed(30, outcome, dispute="d-new", **said))
    before = of(*facts)
    assert before.net_minor is not None
    assert after.net_minor is not None
    assert after.net_minor <= before.net_minor
