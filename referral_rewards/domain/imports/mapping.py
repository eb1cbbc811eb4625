"""A mapping: which columns of another tool's export say what, and which of its statuses mean that it paid.

It is YAML, one file a tool, checked in full before a row is read. A column is found without regard to case, spaces,
dots and underscores: `Invoice ID`, `invoiceId` and `invoice_id` are one.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from referral_rewards.domain import calendar
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.programs.terms import read_yaml
from referral_rewards.domain.validation import in_words

#: In the list of a status: whatever the other lists do not name, unless the cell is empty.
ANYTHING: Final = "*"


class Said(StrEnum):
    """What a row can say."""

    PROGRAM = "program"
    REFERRAL = "referral"
    REFERRER = "referrer"
    REFERRER_CODE = "referrer_code"
    REFERRER_CUSTOMER = "referrer_customer"
    REFERRER_EMAIL = "referrer_email"
    REFERRER_PHONE = "referrer_phone"
    ENROLLED_AT = "enrolled_at"
    CHANNEL = "channel"
    REFEREE_CUSTOMER = "referee_customer"
    REFEREE_EMAIL = "referee_email"
    REFEREE_PHONE = "referee_phone"
    REFEREE_NAME = "referee_name"
    REFERRED_AT = "referred_at"
    CLAIMED_AT = "claimed_at"
    ORDER = "order"
    KIND = "kind"
    AMOUNT = "amount"
    CURRENCY = "currency"
    CONVERTED_AT = "converted_at"
    REFUNDED = "refunded"
    REFUNDED_AT = "refunded_at"


#: Without these a row is no referral.
REQUIRED: Final = (Said.REFERRAL, Said.REFERRER, Said.REFERRED_AT)
#: What names the referee. A mapping has one of them at least.
REFEREE: Final = (Said.REFEREE_CUSTOMER, Said.REFEREE_EMAIL, Said.REFEREE_PHONE)


class As(StrEnum):
    """How a cell is read."""

    TEXT = "text"
    LOWER = "lower"
    UPPER = "upper"
    MONEY = "money"  # 1,234.50 with or without a currency beside it
    MINOR = "minor"  # a whole number of the currency's smallest units
    TIME = "time"  # ISO 8601, or as `format` says
    UNIX = "unix"  # seconds since 1970
    UNIX_MS = "unix_ms"  # milliseconds since 1970


_USUAL: Final[Mapping[Said, As]] = {
    Said.CHANNEL: As.LOWER,
    Said.CURRENCY: As.UPPER,
    **dict.fromkeys((Said.AMOUNT, Said.REFUNDED), As.MONEY),
    **dict.fromkeys(
        (Said.ENROLLED_AT, Said.REFERRED_AT, Said.CLAIMED_AT, Said.CONVERTED_AT, Said.REFUNDED_AT), As.TIME
    ),
}


def folded(column: str) -> str:
    """A column's name as names are compared: letters and digits alone, without case."""
    return "".join(filter(str.isalnum, column.casefold()))


def _one_or_more(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _named(columns: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(folded, columns)):
        raise ValueError("names a column without a letter or digit")
    return columns


Columns = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), AfterValidator(_named), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Cell(_Strict):
    """Where a value stands: the first of some columns that has anything, or one value for every row."""

    column: Columns | None = None
    value: str | None = None
    read: As | None = Field(None, alias="as")
    format: str | None = None
    words: Mapping[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _a_bare_name_is_a_column(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str | list) else given

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("needs a column, or a value for every row, and not both")
        return self


class StatusRule(_Strict):
    """What one column tells of the tool's reward. A word that no list has is neither: a person must say what it is."""

    column: str
    open: Words = ()
    paid: Words = ()
    closed: Words = ()

    @model_validator(mode="after")
    def _each_word_once(self) -> Self:
        words = [word.casefold() for word in (*self.open, *self.paid, *self.closed)]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"names {', '.join(map(repr, twice))} twice")
        return self


def _tool(name: str) -> str:
    if not name.isascii() or not name.replace("-", "").isalnum() or name != name.lower():
        raise ValueError("is a short name of lower-case letters and digits, such as rewardful")
    return name


def _separator(given: str) -> str:
    if given not in (",", ";", "\t", "|"):
        raise ValueError('is none of ",", ";", "\\t", "|"')
    return given


def _mark(given: str) -> str:
    if given not in (".", ","):
        raise ValueError('is none of ".", ","')
    return given


def _zone_name(name: str) -> str:
    calendar.zone(name)
    return name


class ToolMapping(_Strict):
    """All that is to be known of one tool's export. ``prefix`` stands before its ids of referrals and referrers."""

    tool: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_tool)]
    follows: str
    separator: Annotated[str, AfterValidator(_separator)] = ","
    time_zone: Annotated[str, AfterValidator(_zone_name)] = "UTC"
    decimal_mark: Annotated[str, AfterValidator(_mark)] = "."
    prefix: str | None = None
    row: str
    only: Mapping[str, Words] = {}
    status: Annotated[tuple[StatusRule, ...], Field(min_length=1)]
    facts: Mapping[Said, Cell]

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if missing := [said for said in REQUIRED if said not in self.facts]:
            raise ValueError(f"facts: {', '.join(missing)} missing")
        if not any(said in self.facts for said in REFEREE):
            raise ValueError(f"facts: names no referee; needs one of {', '.join(REFEREE)}")
        if not any(rule.paid for rule in self.status):
            raise ValueError("status: no column tells what the tool paid; without that nothing may be imported")
        if Said.ORDER in self.facts and Said.CONVERTED_AT not in self.facts:
            raise ValueError("facts: an order needs converted_at")
        return self

    @property
    def source(self) -> str:
        """The source of the facts that are made of its rows."""
        return f"import/{self.tool}"

    @property
    def before_ids(self) -> str:
        """What stands before the tool's own ids of referrals and referrers, so that they meet no others."""
        return f"{self.tool}-" if self.prefix is None else self.prefix

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which no row may be read."""
        named = [self.row, *self.only, *(rule.column for rule in self.status)]
        return tuple(dict.fromkeys(named))

    def read_as(self, said: Said) -> As:
        """How the cell of a value is read."""
        return self.facts[said].read or _USUAL.get(said, As.TEXT)


def load_mapping(text: str) -> ToolMapping:
    """Return the mapping that YAML says.

    Raises:
        BadInput: with every problem found.
    """
    document = read_yaml(text)
    try:
        return ToolMapping.model_validate(document)
    except ValidationError as error:
        raise BadInput(list(_problems(error))) from None


def _problems(error: ValidationError) -> Iterable[Problem]:
    for each in error.errors(include_url=False):
        steps = [str(step) for step in each["loc"] if str(step) != "[key]"]
        unknown = each["type"] == "extra_forbidden"
        yield Problem(".".join(steps), "is not a key of a mapping" if unknown else in_words(each))
