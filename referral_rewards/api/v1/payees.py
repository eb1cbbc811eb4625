"""Payees: how they are paid, their tax forms, and what they were paid, are owed or wait for."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from referral_rewards.api.dependencies import Bookkeeper, Reading
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.api.v1.reports import YEARS
from referral_rewards.api.v1.shapes import GivenId, Instant
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.payees.tax_forms import FormStanding
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.reporting.payees.listing import Wanted, listing
from referral_rewards.reporting.payees.profile import profile

router = APIRouter(prefix="/v1/payees", tags=["payees"])


class _Shown(BaseModel):
    model_config = ConfigDict(extra="allow")


class PayeeInList(_Shown):
    """A payee; amounts in minor units by currency, and what the form on file is worth under each regime."""

    payee: GivenId
    held_minor: dict[str, int]
    owed_minor: dict[str, int]
    paid_minor: dict[str, int]
    forms: dict[str, FormStanding]


class PayeePage(BaseModel):
    """Payees for whom rewards were approved. ``next`` is what `after` takes for the next page; null at the end."""

    payees: list[PayeeInList]
    next: str | None


class Method(_Shown):
    """How the payee is paid over a rail: the provider's own reference, never anything personal."""

    rail: str
    reference: str
    since: Instant


class Form(_Shown):
    """A tax form that the payee filed."""

    form: str
    filed_at: Instant
    valid_from: str | None
    withholding_percent: str
    readable: bool


class TaxStanding(_Shown):
    """What the forms are worth now under a regime, and what counts in the year beside its threshold, minor units."""

    regime: str
    standing: FormStanding
    form: str | None
    until: Instant | None
    withholding_percent: str
    threshold_minor: int
    currency: str
    counts_minor: int
    needs_form: bool
    source: str


class PaidInYear(_Shown):
    """What settled in the year in one currency, by kind of reward; ``reportable`` is null where that can't be told."""

    regime: str
    currency: str
    by_kind: dict[RewardKind, int]
    total_minor: int
    reportable: bool | None
    withheld_minor: int
    clawed_back_minor: int


class PaidByProgram(_Shown):
    """What a program paid in the year."""

    program: str
    currency: str
    amount_minor: int


class Rewards(_Shown):
    """All rewards ever of a state and currency."""

    state: str
    currency: str
    legs: int
    amount_minor: int


class WaitingReward(_Shown):
    """A reward that is not paid yet; one that is a ``tax_hold`` goes on at ``wake_at`` if it may by then."""

    leg: UUID
    referral: GivenId
    program: str
    role: Side
    kind: RewardKind
    amount_minor: int
    currency: str
    rail: str
    state: str
    approved_at: Instant
    wake_at: Instant | None


class AccountBalance(_Shown):
    """What an account of the payee's comes to in the books: debit positive, credit negative."""

    account: str
    currency: str
    amount_minor: int


class PayeeShown(_Shown):
    """Everything about a payee; ``counts_minor`` is what counts in the year for tax, by currency."""

    payee: GivenId
    year: int
    methods: list[Method]
    forms: list[Form]
    tax: list[TaxStanding]
    counts_minor: dict[str, int]
    paid_in_year: list[PaidInYear]
    paid_by_program: list[PaidByProgram]
    rewards: list[Rewards]
    waiting: list[WaitingReward]
    balances: list[AccountBalance]


@router.get("", summary="List payees", responses={200: {"model": PayeePage}})
async def list_payees(
    connection: Reading,
    person: Bookkeeper,
    held: Annotated[bool, Query(description="Only payees of whom a reward waits for a tax form.")] = False,
    after: Annotated[str, Query(max_length=500, pattern=TEXT, description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """A page at a time."""
    found = await listing(connection, Wanted(held=held, after=after, limit=limit), datetime.now(UTC))
    return {"payees": found, "next": found[-1]["payee"] if len(found) == limit else None}


@router.get("/{payee:path}", summary="Show a payee", responses={200: {"model": PayeeShown}})
async def show_payee(
    payee: NamedInPath,
    connection: Reading,
    person: Bookkeeper,
    year: Annotated[int | None, Query(**YEARS, description="Of its totals; by default the present one.")] = None,
) -> Any:
    """Methods, forms, the year's totals, and what waits, is owed or was paid: references, and nothing personal."""
    return await profile(connection, payee, datetime.now(UTC), year)
