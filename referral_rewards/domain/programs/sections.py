"""The sections of program terms, each checked by itself; `lint.py` checks them against each other."""

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationInfo,
    field_validator,
)

from referral_rewards.domain import money
from referral_rewards.domain.calendar import DayBoundary, Period
from referral_rewards.domain.facts.payloads import Channel, Id
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.web_addresses import registrable


class RewardKind(StrEnum):
    """The kind of a reward."""

    CASH = "cash"
    CREDIT = "credit"
    DISCOUNT = "discount"
    GIFT_CARD = "gift_card"


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a decimal in quotes, such as "25.00": a number without them may be rounded')
    return money.parse_decimal(value)


def _clock(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError('must be a time of day in quotes, such as "09:00"')
    return value


def _without_offset(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("is a time of the program's own zone and takes no offset")
    return value


def _plain(value: Decimal) -> str:
    return format(value, "f")


_Decimal = Annotated[Decimal, BeforeValidator(_decimal), PlainSerializer(_plain, when_used="json")]
#: In the program's currency, above zero.
Amount = Annotated[_Decimal, Field(gt=0)]
Percent = Annotated[_Decimal, Field(gt=0, le=100)]
Clock = Annotated[time, BeforeValidator(_clock), AfterValidator(_without_offset)]


class Section(BaseModel):
    """A part of the terms: immutable, and an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Periods(Section):
    """The four periods of SPEC §4, and how long to wait around them."""

    expiry: Mapping[Channel, Period]
    offer: Period
    grace: Period
    return_: Period = Field(alias="return")
    arrival_allowance: Period = Period.parse("PT1H")
    watch: Period = Period.parse("P60D")
    day_boundary: DayBoundary = DayBoundary.INSTANT


class Sources(Section):
    """The source that re-validates a conversion (``register`` only reads our own record again and says so), and the
    source of the customers' current issues and consents, if there is one."""

    conversions: Id = "register"
    customers: Id | None = None


class Qualifying(Section):
    """Which conversions qualify; a conversion without an amount always reaches the minimum."""

    kinds: tuple[Id, ...]
    minimum: Amount | None = None
    new_customers_only: bool = False
    advocacy_permission_required: bool = False


class Tier(Section):
    """The rate from a number of approved rewards on, or from a net amount on."""

    from_rewarded: int | None = Field(default=None, ge=0)
    from_amount: Annotated[_Decimal, Field(ge=0)] | None = None
    amount: Amount | None = None
    percent: Percent | None = None
    cap: Amount | None = None


class RewardRule(Section):
    """The reward of one side: a flat ``amount``, a ``percent`` of the net amount (optional ``cap``), or ``tiers``."""

    kind: RewardKind
    amount: Amount | None = None
    percent: Percent | None = None
    cap: Amount | None = None
    tiers: tuple[Tier, ...] | None = None


class Rewards(Section):
    """The two sides of a reward; either may be left out."""

    referrer: RewardRule | None = None
    referee: RewardRule | None = None


class ReferrerLimit(Section):
    """The maximum number or total of one referrer's rewards in any ``period``."""

    rewards: int | None = Field(default=None, ge=1)
    amount: Amount | None = None
    period: Period


class Limits(Section):
    """Caps per referrer, per reward and for the whole program."""

    per_referrer: ReferrerLimit | None = None
    per_reward: Amount | None = None
    budget: Amount | None = None


class Partner(Section):
    """A partner's own rate, valid from one date to another (exclusive) in the program's time zone."""

    partner: Id
    amount: Amount | None = None
    percent: Percent | None = None
    cap: Amount | None = None
    valid_from: date
    valid_until: date | None = None


def _country(value: str) -> str:
    if value not in COUNTRIES:
        raise ValueError(f"{value!r} is no country's code of two capital letters (ISO 3166), such as GB")
    return value


def _site(value: str) -> str:
    if value != registrable(value) or not value:
        raise ValueError(f"{value!r} is no registrable domain in small letters, such as coupons.com")
    return value


#: ISO 3166 alpha-2 codes, from the regions of the telephone library: without three codes that ISO only reserves, and
#: with the countries that have no telephone numbers of their own.
COUNTRIES: Final = (phonenumbers.SUPPORTED_REGIONS - {"AC", "TA", "XK"}) | {"AQ", "BV", "GS", "HM", "PN", "TF", "UM"}


class Fraud(Section):
    """Weights of the signals, the score (``threshold``) from which a person must review, and what two signals block."""

    threshold: int = Field(default=50, ge=1, le=100)
    weights: Mapping[str, Annotated[int, Field(ge=0, le=100)]] = {}
    blocked_countries: tuple[Annotated[str, AfterValidator(_country)], ...] = ()
    blocked_sites: tuple[Annotated[str, AfterValidator(_site)], ...] = ()


class Approval(Section):
    """Who decides about which kind of reward, and when they are reminded. Silence never pays."""

    routes: Mapping[RewardKind, tuple[Role, ...]]
    four_eyes_from: Annotated[_Decimal, Field(ge=0)] | None = None
    remind_after: Period = Period.parse("P2D")
    escalate_after: Period = Period.parse("P5D")
    escalate_to: Role = Role.OPERATIONS


class PayoutCycle(Section):
    """Pays on one day of each month (the last one in a shorter month) or week (1 is Monday), to payees who are owed at
    least ``minimum``."""

    cycle: Literal["monthly", "weekly"]
    day: int = Field(ge=1, le=31)
    minimum: Amount | None = None

    @field_validator("day")
    @classmethod
    def _of_the_week(cls, day: int, info: ValidationInfo) -> int:
        if info.data.get("cycle") == "weekly" and day > _DAYS_OF_A_WEEK:
            raise ValueError("must be 1 (Monday) to 7 (Sunday) in a weekly cycle")
        return day


_DAYS_OF_A_WEEK: Final = 7


def _timing(value: Any) -> str:
    return "(cycle)" if isinstance(value, Mapping | PayoutCycle) else "(immediate)"


class Payouts(Section):
    """When rewards are paid, the rail for each kind, and whether a payee's very first method is paid to at once or
    waits until finance binds it (``redirect``)."""

    timing: Annotated[
        Annotated[Literal["immediate"], Tag("(immediate)")] | Annotated[PayoutCycle, Tag("(cycle)")],
        Discriminator(_timing),
    ] = "immediate"
    rails: Mapping[RewardKind, Id]
    first_method: Literal["redirect", "pay"] = "redirect"


class Tax(Section):
    """The tax regime whose thresholds apply; ``none`` for a program that reports to no authority."""

    regime: Id = "none"


class ContactHours(Section):
    """The local hours in which messages may be sent."""

    start: Clock
    end: Clock
