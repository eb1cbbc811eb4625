"""The filters of the queue, the same for the API, the desk and the command line."""

import base64
import binascii
import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from referral_rewards.domain.calendar import parse_day
from referral_rewards.domain.claims.findings import Flag, Recommendation
from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.money import known_currency
from referral_rewards.domain.programs.terms import Role

PAGE_MAX: Final = 500
UNFLAGGED: Final = "none"
FLAGS: Final = (UNFLAGGED, *Flag)
_MINOR_MAX: Final = 2**63 - 1


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds characters that nothing's name has")
    return value


def _known_flag(value: str) -> str:
    if value not in FLAGS:
        raise ValueError(none_of(value, FLAGS))
    return value


Word = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Flagged = Annotated[str, AfterValidator(_known_flag), Field(json_schema_extra={"enum": list(FLAGS)})]
Amount = Annotated[Decimal, Field(ge=0, le=Decimal("1e15"))]
#: An empty form field means no filter; the pattern in the API description allows it.
_OR_EMPTY: Final = {"pattern": "^([A-Z]{3})?$"}
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", json_schema_extra=_OR_EMPTY), AfterValidator(known_currency)]


def _as_a_day(given: object) -> object:
    return parse_day(given) if isinstance(given, str) else given


#: An empty form field means no filter here, too.
_DAY_OR_EMPTY: Final = {"type": "string", "pattern": r"^(\d{4}-\d{2}-\d{2})?$"}
Day = Annotated[date, BeforeValidator(_as_a_day), WithJsonSchema(_DAY_OR_EMPTY)]


class Filters(BaseModel):
    """Filters, order and start of a list. An empty value means no filter, as an empty form field does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: Word | None = Field(None, description="Of this program.")
    route: Role | None = Field(None, description="That need an approval by this role.")
    flag: Flagged | None = Field(None, description="With this flag; `none`: without any flag.")
    exception: Waits | None = Field(None, description="What it waits for.")
    recommendation: Recommendation | None = Field(None, description="The recommendation of the rules.")
    since: Day | None = Field(
        None,
        alias="from",
        description="Waiting since this day or later, by the calendar of the program that is named, else in UTC.",
    )
    until: Day | None = Field(None, alias="to", description="Waiting since before this day.")
    older_than_days: Annotated[int, Field(ge=0, le=36_500)] | None = Field(
        None, description="Waiting for at least this many days."
    )
    overdue: bool = Field(False, description="Only what has waited for longer than the terms allow.")
    mine: bool = Field(
        False, description="Only claims that your roles can decide on and that you have not approved yet."
    )
    currency: Currency | None = Field(None, description="With amounts in this currency.")
    amount_min: Amount | None = Field(None, description="With rewards of at least this total.")
    amount_max: Amount | None = Field(None, description="With rewards of at most this total.")
    q: Word | None = Field(
        None, description="A referral, referrer, customer or order: all of its id, or how it begins."
    )
    sort: Sort = Sort.OLDEST
    after: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="The value of `next` from the previous page."
    )
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 50

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, given: Any) -> Any:
        return {name: each for name, each in given.items() if each != ""} if isinstance(given, dict) else given

    @property
    def days(self) -> Days:
        """Return the days on which what is listed began to wait.

        Raises:
            RequestInvalid: if they end before they begin.
        """
        return Days.between(self.since, self.until)

    @property
    def query(self) -> dict[str, str]:
        """Return the filters as URL query parameters, without the cursor."""
        asked = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"after"})
        return {name: "true" if value is True else str(value) for name, value in asked.items()}


def cursor(sort: Sort, place: tuple[Any, ...]) -> str:
    """Return a place in a list as an opaque cursor for URLs."""
    plain = [each.isoformat() if isinstance(each, datetime) else each for each in place]
    return base64.urlsafe_b64encode(json.dumps([sort, *plain]).encode()).decode().rstrip("=")


def place_of(sort: Sort, given: str) -> tuple[Any, ...]:
    """Return the place that a cursor encodes.

    Raises:
        RequestInvalid: if the cursor is invalid or from a list in another order.
    """
    try:
        if not re.fullmatch(r"[\w-]+", given, re.ASCII):
            raise ValueError(given)
        said, *place = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        if said != sort:
            raise ValueError(said)
        *first, referral, exception, subject = place
        if not all(isinstance(each, str) and each.isprintable() for each in (referral, exception, subject)):
            raise ValueError(place)
        if sort in (Sort.AMOUNT_HIGH, Sort.AMOUNT_LOW):
            currency, minor = first
            if not (re.fullmatch("[A-Z]{3}", currency) and type(minor) is int and 0 <= minor <= _MINOR_MAX):
                raise ValueError(first)
            return (currency, minor, referral, exception, subject)
        (moment,) = first
        at = datetime.fromisoformat(moment)
        if at.utcoffset() is None:
            raise ValueError(moment)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise RequestInvalid("is no place in a list of this order; begin at its first page", "after") from None
    return (at, referral, exception, subject)
