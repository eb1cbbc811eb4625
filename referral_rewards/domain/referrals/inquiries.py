"""Asking outside sources again: what to ask about a referral, and what an answer means (SPEC §4, §5).

A source answers with facts. They enter the register and are judged like any others; the answer itself says only whether
the source was available and knows the conversion.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.intake_warnings import FactWarning
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, FactType
from referral_rewards.domain.facts.rights import Rights, Teller
from referral_rewards.domain.referrals.versions import NOTHING, UNKNOWN, OnRecord, Version, told_by

#: The source that is not an outside one: our own record is read again, and the check says so.
REGISTER: Final = "register"

#: So many warnings of an answer are told one by one.
WARNINGS_MAX: Final = 3

_OF_AN_ORDER: Final = ABOUT_AN_ORDER | {FactType.CONVERSION_RECORDED}
_OF_A_CUSTOMER: Final = {
    FactType.ISSUE_OPENED: "customer",
    FactType.ISSUE_RESOLVED: "customer",
    FactType.CONSENT_GRANTED: "person",
    FactType.CONSENT_WITHDRAWN: "person",
}


class Answer(StrEnum):
    """The result of asking a source again."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNAVAILABLE = "unavailable"


class Moment(StrEnum):
    """When a source is asked. An answer from one moment does not count at the next."""

    REPORT = "report"
    ASSEMBLY = "assembly"
    APPROVAL = "approval"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What the named source answered, in a sentence. ``content_hash`` is the SHA-256 of the response, if there was
    one. Of an order ``theirs`` is the source's version and ``ours`` the one that our register had when it was asked."""

    answer: Answer
    sentence: str
    source: str
    content_hash: str | None = None
    theirs: Version | None = None
    ours: Version | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What has to be asked before a claim can be judged. ``order`` and ``customer`` are None if there is nothing to
    ask about; ``customers`` is None if the terms name no source of customers. ``store`` gave the order its id, if one
    is known. ``on_record`` is what we know of the order: that changes with what a source tells, the question does not.
    """

    referral: str
    conversions: str
    order: str | None
    customers: str | None = None
    customer: str | None = None
    store: str | None = None
    on_record: OnRecord = field(default=NOTHING, compare=False, repr=False)

    @property
    def name(self) -> OrderName | None:
        """The name of the order."""
        return None if self.order is None else OrderName(self.order, self.store)

    @property
    def asks_outside(self) -> bool:
        """Whether anything has to be asked of a source that is not our own register."""
        asked = ((self.order, self.conversions), (self.customer, self.customers))
        return any(about is not None and source not in (None, REGISTER) for about, source in asked)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the sources answered to one question; not valid for another."""

    question: Question
    conversion: SourceAnswer
    customer: SourceAnswer | None = None

    @property
    def all_came(self) -> bool:
        """Whether every source that had to be asked was available."""
        asked = ((self.question.order, self.conversion), (self.question.customer, self.customer))
        return not any(about and said and said.answer is Answer.UNAVAILABLE for about, said in asked)


class AnswersNeeded(Exception):
    """A source must be asked before judging. Not a refusal: the caller asks and judges again."""

    def __init__(self, question: Question, moment: Moment) -> None:
        self.question, self.moment = question, moment
        super().__init__(f"{question.referral}: {question.conversions} has to be asked")


def unavailable(source: str, why: str) -> SourceAnswer:
    """Return the answer that stands for a source that gave none; ``why`` is a sentence."""
    return SourceAnswer(Answer.UNAVAILABLE, why, source)


def about_order(source: str, order: OrderName, told: Iterable[Event]) -> SourceAnswer:
    """Return the answer of a source that reported these facts about an order.

    The source knows the conversion or it does not. A return, refund or dispute is a fact of its own.
    """
    told = list(told)
    if strange := [each for each in told if not _is_about(each, order)]:
        return unavailable(source, f"It was asked about order {order} and told of something else ({strange[0].type}).")
    record = next((each for each in told if each.type is FactType.CONVERSION_RECORDED), None)
    if record is None:
        return SourceAnswer(Answer.CONTRADICTED, f"It knows no order {order}.", source, theirs=UNKNOWN)
    amount, currency = record.public.get("amount"), record.public.get("currency")
    worth = f", {amount} {currency}" if amount is not None else ""
    taken_back = sum(each.type is FactType.CONVERSION_REVERSED for each in told)
    since = f"; it tells of {taken_back} reversal{'s' if taken_back > 1 else ''}" if taken_back else ""
    return SourceAnswer(Answer.CONFIRMED, f"It knows order {order}{worth}{since}.", source, theirs=told_by(told))


def _is_about(told: Event, order: OrderName) -> bool:
    """Whether a source tells of the order that it was asked about. It need not name the store."""
    named = OrderName(str(told.public.get("order")), told.public.get("store", order.store))
    return told.type in _OF_AN_ORDER and named == order


def about_customer(source: str, customer: str, told: Iterable[Event]) -> SourceAnswer:
    """Return the answer of a source that reported these facts about a customer; reporting none is an answer too."""
    told = list(told)
    for each in told:
        part = each.public.get(_OF_A_CUSTOMER.get(each.type, ""), {})
        if part.get("customer") != customer:
            why = f"It was asked about customer {customer} and told of something else ({each.type})."
            return unavailable(source, why)
    return SourceAnswer(Answer.CONFIRMED, f"It was asked about {customer} and told {len(told)} facts.", source)


def teller_of(source: str, told: Iterable[Event]) -> Teller:
    """Return who told the facts of an answer: the named source, which may tell of orders and customers what comes from
    the sources that it speaks for in this answer. So it undoes nothing that others took."""
    types = {*_OF_AN_ORDER, *_OF_A_CUSTOMER}
    return Teller(f"source {source}", None, Rights(frozenset(each.source for each in told), frozenset(types)))


def told_otherwise(answer: SourceAnswer, conflicts: int) -> SourceAnswer:
    """Return the answer of a source that reported some facts earlier under the same ids with other contents."""
    why = f"It tells {conflicts} of its facts otherwise than before, under the same ids."
    return replace(answer, answer=Answer.CONTRADICTED, sentence=why)


def with_warnings(answer: SourceAnswer, warnings: Iterable[FactWarning]) -> SourceAnswer:
    """Return the answer of a source whose facts have less effect than it may think; its sentence says which.

    Whoever posts facts is told in the response. Nobody reads a response of ours here, so a person has to see it.
    """
    told = list(dict.fromkeys(f"{each.where} {each.what}" for each in warnings))
    if not told:
        return answer
    further = [f"and {len(told) - WARNINGS_MAX} more"] if len(told) > WARNINGS_MAX else []
    vain = "; ".join([*told[:WARNINGS_MAX], *further])
    return replace(answer, sentence=f"{answer.sentence} Of what it told: {vain}.")


def register_answer(order: OrderName | str) -> SourceAnswer:
    """Return the answer for reading our own record again."""
    told = f"Only our own record of order {order} was read again; no outside source was asked."
    return SourceAnswer(Answer.CONFIRMED, told, REGISTER)
