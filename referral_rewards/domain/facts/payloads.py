"""The payload of each fact type: the public fields of SPEC §3. Anything else stays in the personal-data table."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from referral_rewards.domain import calendar, money
from referral_rewards.domain.facts import ids


class FactType(StrEnum):
    """The types of SPEC §3."""

    REFERRER_ENROLLED = "referrer.enrolled"
    REFERRER_SUSPENDED = "referrer.suspended"
    REFERRER_REINSTATED = "referrer.reinstated"
    REFERRAL_SENT = "referral.sent"
    REFERRAL_CLAIMED = "referral.claimed"
    REFERRAL_WITHDRAWN = "referral.withdrawn"
    REFERRAL_APPEALED = "referral.appealed"
    CONVERSION_RECORDED = "conversion.recorded"
    CONVERSION_REPORTED = "conversion.reported"
    CONVERSION_AMENDED = "conversion.amended"
    CONVERSION_REVERSED = "conversion.reversed"
    REVERSAL_FAILED = "conversion.reversal_failed"
    DISPUTE_OPENED = "conversion.dispute_opened"
    DISPUTE_CLOSED = "conversion.dispute_closed"
    REWARD_REQUESTED = "reward.requested"
    ATTRIBUTION_CHANGED = "attribution.changed"
    ISSUE_OPENED = "customer.issue_opened"
    ISSUE_RESOLVED = "customer.issue_resolved"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    METHOD_SET = "payee.method_set"
    METHOD_REMOVED = "payee.method_removed"
    TAX_FORM_FILED = "payee.tax_form_filed"
    SATISFACTION_RATED = "satisfaction.rated"


#: What happened to an order after it was recorded.
ABOUT_AN_ORDER: Final = frozenset(
    {
        FactType.CONVERSION_AMENDED,
        FactType.CONVERSION_REVERSED,
        FactType.REVERSAL_FAILED,
        FactType.DISPUTE_OPENED,
        FactType.DISPUTE_CLOSED,
    }
)


class Channel(StrEnum):
    """How an invitation was delivered."""

    EMAIL = "email"
    SOCIAL = "social"
    LINK = "link"
    WORD_OF_MOUTH = "word_of_mouth"
    LEAD = "lead"


class ReversalKind(StrEnum):
    """Why a conversion was reversed."""

    REFUND = "refund"
    RETURN = "return"
    CANCELLATION = "cancellation"
    CHARGEBACK_LOST = "chargeback_lost"


class DisputeOutcome(StrEnum):
    """How a dispute ended."""

    WON = "won"
    INQUIRY_CLOSED = "inquiry_closed"
    LOST = "lost"
    REFUNDED = "refunded"
    PREVENTED = "prevented"


class ConsentScope(StrEnum):
    """What a consent allows."""

    CONTACT = "contact"
    PUBLIC_ADVOCACY = "public_advocacy"


def _opaque(value: str) -> str:
    if problem := ids.id_problem(value):
        raise ValueError(problem)
    return value


def _typed_by_people(value: str) -> str:
    if problem := ids.code_problem(value):
        raise ValueError(problem)
    return value


def _amount(value: str) -> str:
    amount = money.parse_decimal(value)
    if amount < 0:
        raise ValueError("an amount is not negative")
    return value


def _form_name(value: str) -> str:
    if ids.holds_unseen(value) or not any(map(str.isalnum, value)) or ids.tells_of_a_person(value):
        raise ValueError("is the name of a form, such as W-9")
    return value


def _day(value: str) -> str:
    calendar.parse_day(value)
    return value


def _percent(value: str) -> str:
    money.parse_percent(value)
    return value


def _without_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _unless_personal(value: str | None) -> str | None:
    return value if value is not None and ids.id_problem(value) is None else None


Id = Annotated[str, StringConstraints(strict=True, min_length=1), AfterValidator(_opaque)]
#: A referrer's code, compared by `identity.folded_code`.
Code = Annotated[str, StringConstraints(strict=True, min_length=1), AfterValidator(_typed_by_people)]
Amount = Annotated[str, StringConstraints(strict=True), AfterValidator(_amount)]
Currency = Annotated[str, StringConstraints(strict=True), AfterValidator(money.known_currency)]
FormName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100), AfterValidator(_form_name)]
Day = Annotated[str, StringConstraints(strict=True), AfterValidator(_day)]
Percent = Annotated[str, StringConstraints(strict=True), AfterValidator(_percent)]
#: Free text where a code is usual. Text that could be personal stays with the personal data.
Word = Annotated[str | None, AfterValidator(_unless_personal)]
#: Systems write it with letters of either case.
Outcome = Annotated[DisputeOutcome, BeforeValidator(_without_case)]
#: One of `ReversalKind`, or another word: what was taken back counts, whatever it is called.
KindOfReversal = Annotated[Id, BeforeValidator(_without_case)]
#: One of `ConsentScope`, or another word, which allows nothing.
Scope = Annotated[Id, BeforeValidator(_without_case)]


class Part(BaseModel):
    """A part of a payload. Its declared fields are public; any other field stays with the personal data."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Person(Part):
    """The public side of a person: the opaque customer id and the country."""

    customer: Id | None = None
    country: Word = None


class Enrolled(Part):
    referrer: Id
    program: Id
    code: Code | None = None
    customer: Id | None = None
    partner: Id | None = None


class ReferrerStanding(Part):
    referrer: Id
    program: Id


class Sent(Part):
    referral: Id
    program: Id
    referrer: Id
    channel: Channel
    referee: Person = Person()


class Claimed(Part):
    referral: Id | None = None
    program: Id | None = None
    referrer: Id | None = None
    referrer_code: Code | None = None
    channel: Channel | None = None
    referee: Person = Person()
    consent: bool | None = None


class AboutReferral(Part):
    referral: Id
    by: Word = None


class Recorded(Part):
    order: Id
    kind: Id
    customer: Person
    amount: Amount | None = None
    currency: Currency | None = None
    new_customer: bool | None = None


class Reported(Part):
    referral: Id
    order: Id | None = None
    by: Word = None


class Amended(Part):
    order: Id
    amount: Amount
    currency: Currency | None = None


class Reversed(Part):
    order: Id
    kind: KindOfReversal
    reversal: Id | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class ReversalFailed(Part):
    order: Id
    reversal: Id | None = None


class Disputed(Part):
    order: Id
    dispute: Id | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class DisputeClosed(Disputed):
    outcome: Outcome


class Requested(Part):
    program: Id
    referrer: Id
    referee: Person = Person()
    order: Id | None = None
    by: Id | None = None


class AttributionChanged(Part):
    referral: Id
    from_referrer: Id | None = None
    to_referrer: Id


class Issue(Part):
    customer: Person
    issue: Id


class Consent(Part):
    person: Person
    scope: Scope


class Method(Part):
    payee: Id
    rail: Id
    reference: Word = None


class TaxForm(Part):
    payee: Id
    form: FormName
    valid_from: Day | None = None
    withholding_percent: Percent | None = None


class Rated(Part):
    referral: Id
    by: Word = None
    score: int


PAYLOADS: Final[Mapping[FactType, type[Part]]] = {
    FactType.REFERRER_ENROLLED: Enrolled,
    FactType.REFERRER_SUSPENDED: ReferrerStanding,
    FactType.REFERRER_REINSTATED: ReferrerStanding,
    FactType.REFERRAL_SENT: Sent,
    FactType.REFERRAL_CLAIMED: Claimed,
    FactType.REFERRAL_WITHDRAWN: AboutReferral,
    FactType.REFERRAL_APPEALED: AboutReferral,
    FactType.CONVERSION_RECORDED: Recorded,
    FactType.CONVERSION_REPORTED: Reported,
    FactType.CONVERSION_AMENDED: Amended,
    FactType.CONVERSION_REVERSED: Reversed,
    FactType.REVERSAL_FAILED: ReversalFailed,
    FactType.DISPUTE_OPENED: Disputed,
    FactType.DISPUTE_CLOSED: DisputeClosed,
    FactType.REWARD_REQUESTED: Requested,
    FactType.ATTRIBUTION_CHANGED: AttributionChanged,
    FactType.ISSUE_OPENED: Issue,
    FactType.ISSUE_RESOLVED: Issue,
    FactType.CONSENT_GRANTED: Consent,
    FactType.CONSENT_WITHDRAWN: Consent,
    FactType.METHOD_SET: Method,
    FactType.METHOD_REMOVED: Method,
    FactType.TAX_FORM_FILED: TaxForm,
    FactType.SATISFACTION_RATED: Rated,
}

#: The part of ``data`` that describes the person a fact is about ("" is ``data`` itself).
PERSON_PART: Final[Mapping[FactType, str]] = {
    FactType.REFERRER_ENROLLED: "",
    FactType.REFERRAL_SENT: "referee",
    FactType.REFERRAL_CLAIMED: "referee",
    FactType.CONVERSION_RECORDED: "customer",
    FactType.REWARD_REQUESTED: "referee",
    FactType.ISSUE_OPENED: "customer",
    FactType.ISSUE_RESOLVED: "customer",
    FactType.CONSENT_GRANTED: "person",
    FactType.CONSENT_WITHDRAWN: "person",
}


def person_of(fact_type: FactType, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the part of ``data`` that describes the person a fact is about; None if it is about none, or not said."""
    part = PERSON_PART.get(fact_type)
    person = data if part == "" else None if part is None else data.get(part)
    return person if isinstance(person, dict | Mapping) else None
