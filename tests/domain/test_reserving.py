"""What an approval reserves: its legs, and a payout for each that is due (SPEC §7)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from referral_rewards.domain.books.deductions import OpenOffset
from referral_rewards.domain.books.ledger import Deduction, DeductionKind
from referral_rewards.domain.claims.claim import RewardClaim, assemble
from referral_rewards.domain.claims.dossier import TaxPosition
from referral_rewards.domain.claims.reserving import Ground, Occasion, Offsets, Reservation, reserved
from referral_rewards.domain.payees.tax_forms import TaxForm
from referral_rewards.domain.payouts.states import LegState, payout_id
from tests.domain.build import acme
from tests.domain.dossiers import dossier

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CLAIM_ID = UUID(int=7)
W9 = TaxForm("W-9", datetime(2026, 1, 5, tzinfo=UTC), "crm", "1", None)
THRESHOLD_MINOR = 2_000_00


def _claim(*legs: tuple[str, str, int]) -> RewardClaim:
    """A claim whose legs are these: role, beneficiary, amount in minor units."""
    made = assemble(dossier())
    by_role = {leg.role.value: leg for leg in made.legs}
    named = [
        by_role[role].model_copy(update={"beneficiary": payee, "amount_minor": amount}) for role, payee, amount in legs
    ]
    return made.model_copy(update={"legs": tuple(named)})


def _reserved(
    claim: RewardClaim,
    *,
    tax: Mapping[str, TaxPosition] | None = None,
    forms: Mapping[str, Sequence[TaxForm]] | None = None,
    offsets: Offsets | None = None,
    legs_ever: int = 0,
    **changes: Any,
) -> Reservation:
    positions = {leg.beneficiary: TaxPosition() for leg in claim.legs if leg.beneficiary} if tax is None else tax
    ground = Ground(legs_ever, is_rewarded=False, tax=positions, forms=forms or {}, offsets=offsets or {})
    return reserved(claim, Occasion("r1", CLAIM_ID, 1, acme(**changes), NOW), ground)


def _offset(of: UUID, amount_minor: int) -> Deduction:
    return Deduction(DeductionKind.OFFSET, str(of), amount_minor)


BOTH = _claim(("referrer", "dexter", 2500), ("referee", "brie", 800))


def test_each_reward_is_a_leg_with_a_payout_of_its_own() -> None:
    its = _reserved(BOTH)
    assert [(leg.role, leg.beneficiary, leg.amount_minor, leg.state) for leg in its.legs] == [
        ("referee", "brie", 800, LegState.RESERVED),
        ("referrer", "dexter", 2500, LegState.RESERVED),
    ]
    assert [(each.leg.role, each.request.payout_id, each.request.amount_minor) for each in its.payouts] == [
        ("referee", payout_id("r1", "referee"), 800),
        ("referrer", payout_id("r1", "referrer"), 2500),
    ]
    assert its.again_at is None


def test_a_cycle_plans_the_payouts_itself() -> None:
    its = _reserved(BOTH, tax={}, payouts__timing={"cycle": "monthly", "day": 15})
    assert {leg.state for leg in its.legs} == {LegState.RESERVED}
    assert (its.payouts, its.again_at) == ((), None)


def test_the_legs_of_a_later_approval_are_others() -> None:
    first, later = _reserved(BOTH), _reserved(BOTH, legs_ever=2)
    assert not {leg.id for leg in first.legs} & {leg.id for leg in later.legs}
    assert [leg.id for leg in _reserved(BOTH).legs] == [leg.id for leg in first.legs]
    # The payout and its key stay: the same leg is paid at most once.
    assert [each.request.payout_id for each in first.payouts] == [each.request.payout_id for each in later.payouts]


@pytest.mark.parametrize(
    ("before_minor", "form_on_file", "states"),
    [
        (0, False, {"referrer": "reserved", "referee": "reserved"}),
        (THRESHOLD_MINOR - 2501, False, {"referrer": "reserved", "referee": "reserved"}),
        (THRESHOLD_MINOR - 2500, False, {"referrer": "tax_hold", "referee": "reserved"}),
        (THRESHOLD_MINOR - 2500, True, {"referrer": "reserved", "referee": "reserved"}),
    ],
)
def test_a_leg_that_reaches_the_threshold_waits_for_a_form(
    before_minor: int, form_on_file: bool, states: dict[str, str]
) -> None:
    tax = {"dexter": TaxPosition(before_minor, form_on_file), "brie": TaxPosition()}
    its = _reserved(BOTH, tax=tax)
    assert {leg.role: leg.state.value for leg in its.legs} == states
    assert {each.leg.role for each in its.payouts} == {role for role, state in states.items() if state == "reserved"}


def test_a_payee_whose_total_is_unknown_waits() -> None:
    its = _reserved(BOTH, tax={"brie": TaxPosition()})
    assert {leg.beneficiary: leg.state for leg in its.legs} == {
        "brie": LegState.RESERVED,
        "dexter": LegState.TAX_HOLD,
    }


def test_the_first_leg_of_one_payee_counts_for_the_second() -> None:
    alone = _claim(("referrer", "dexter", 2500), ("referee", "dexter", 800))
    its = _reserved(alone, tax={"dexter": TaxPosition(THRESHOLD_MINOR - 3000)})
    assert [(leg.role, leg.state) for leg in its.legs] == [
        ("referee", LegState.RESERVED),
        ("referrer", LegState.TAX_HOLD),
    ]


@pytest.mark.parametrize(
    ("forms", "again_at"),
    [
        ([], datetime(2027, 1, 1, tzinfo=UTC)),
        ([W9], datetime(2027, 1, 1, tzinfo=UTC)),
        (
            [TaxForm("W-9", NOW, "crm", "2", date(2026, 7, 1))],
            datetime(2026, 7, 1, tzinfo=UTC),
        ),
    ],
)
def test_a_held_leg_is_looked_at_again_when_a_form_begins_or_the_year_ends(
    forms: list[TaxForm], again_at: datetime
) -> None:
    its = _reserved(BOTH, tax={"brie": TaxPosition()}, forms={"dexter": forms})
    assert its.again_at == again_at


def test_tax_is_withheld_as_the_form_in_force_says() -> None:
    form = TaxForm("W-8BEN", datetime(2026, 1, 5, tzinfo=UTC), "crm", "1", None, Decimal(30))
    its = _reserved(BOTH, forms={"dexter": [form]})
    assert [(each.request.amount_minor, each.lowered_by.deductions) for each in its.payouts] == [
        (800, ()),
        (1750, (Deduction(DeductionKind.WITHHOLDING, "us", 750),)),
    ]


def test_what_the_payee_owes_is_kept_from_the_first_payout_and_then_from_the_next() -> None:
    alone = _claim(("referrer", "dexter", 2500), ("referee", "dexter", 800))
    first, second, foreign = UUID(int=1), UUID(int=2), UUID(int=3)
    owed = (OpenOffset(first, 1000), OpenOffset(second, 100))
    its = _reserved(alone, offsets={("dexter", "USD"): owed, ("dexter", "EUR"): (OpenOffset(foreign, 9),)})
    assert [(each.request.amount_minor, each.lowered_by.deductions) for each in its.payouts] == [
        (0, (_offset(first, 800),)),
        (2200, (_offset(first, 200), _offset(second, 100))),
    ]
