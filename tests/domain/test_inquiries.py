"""What an answer of an outside source amounts to."""

import pytest

from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.intake_warnings import FactWarning, WarningKind
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.inquiries import (
    REGISTER,
    Answer,
    Answers,
    Question,
    SourceAnswer,
    about_customer,
    about_order,
    register_answer,
    told_otherwise,
    unavailable,
    with_warnings,
)

BRIE = {"customer": "c-brie", "email": "brie@example.com", "name": "Brie Cheese"}
RECORD = {"order": "o1", "kind": "purchase", "customer": BRIE}
WORTH = {"amount": "80.00", "currency": "USD"}
REFUND = {"order": "o1", "kind": "refund"}
ISSUE = {"customer": BRIE, "issue": "i1"}
CONSENT = {"person": BRIE, "scope": "contact"}

RECORDED, REVERSED = "conversion.recorded", "conversion.reversed"
OPENED, CLOSED = "conversion.dispute_opened", "conversion.dispute_closed"


def told(*facts: tuple[str, dict[str, object]]) -> list[Event]:
    return [
        parse_event(
            {
                "specversion": "1.0",
                "id": f"t{number}",
                "source": "shop",
                "type": type_,
                "time": "2026-07-10T12:00:00Z",
                "data": data,
            }
        )
        for number, (type_, data) in enumerate(facts)
    ]


ALL_OF_AN_ORDER = told(
    (RECORDED, RECORD | WORTH),
    ("conversion.amended", {"order": "o1", "amount": "90.00"}),
    (REVERSED, REFUND),
    ("conversion.reversal_failed", {"order": "o1", "reversal": "re-1"}),
    (OPENED, {"order": "o1"}),
    (CLOSED, {"order": "o1", "outcome": "won"}),
)
ALL_OF_A_CUSTOMER = told(
    ("customer.issue_opened", ISSUE),
    ("customer.issue_resolved", ISSUE),
    ("consent.granted", CONSENT),
    ("consent.withdrawn", CONSENT),
)


@pytest.mark.parametrize(
    ("facts", "answer", "sentence"),
    [
        pytest.param([], Answer.CONTRADICTED, "It knows no order o1.", id="nothing"),
        pytest.param([(REVERSED, REFUND)], Answer.CONTRADICTED, "It knows no order o1.", id="a reversal of nothing"),
        pytest.param([(RECORDED, RECORD)], Answer.CONFIRMED, "It knows order o1.", id="without an amount"),
        pytest.param([(RECORDED, RECORD | WORTH)], Answer.CONFIRMED, "It knows order o1, 80.00 USD.", id="the order"),
        pytest.param(
            [(RECORDED, RECORD), (REVERSED, REFUND)],
            Answer.CONFIRMED,
            "It knows order o1; it tells of 1 reversal.",
            id="taken back",
        ),
        pytest.param(
            [(REVERSED, REFUND), (RECORDED, RECORD | WORTH), (REVERSED, REFUND | {"amount": "5.00"})],
            Answer.CONFIRMED,
            "It knows order o1, 80.00 USD; it tells of 2 reversals.",
            id="taken back twice, in any order",
        ),
        pytest.param(
            [(RECORDED, RECORD), (OPENED, {"order": "o1"}), (CLOSED, {"order": "o1", "outcome": "won"})],
            Answer.CONFIRMED,
            "It knows order o1.",
            id="disputed",
        ),
        pytest.param(
            [(RECORDED, RECORD), (RECORDED, RECORD | {"order": "o2"})],
            Answer.UNAVAILABLE,
            "It was asked about order o1 and told of something else (conversion.recorded).",
            id="another order beside it",
        ),
        pytest.param(
            [(RECORDED, RECORD | {"order": "O1"})],
            Answer.UNAVAILABLE,
            "It was asked about order o1 and told of something else (conversion.recorded).",
            id="an order of nearly that name",
        ),
    ],
)
def test_what_a_source_tells_of_an_order(
    facts: list[tuple[str, dict[str, object]]], answer: Answer, sentence: str
) -> None:
    said = about_order("shop", OrderName("o1"), told(*facts))
    assert (said.answer, said.sentence, said.source) == (answer, sentence, "shop")


@pytest.mark.parametrize(
    ("facts", "answer", "sentence"),
    [
        pytest.param([], Answer.CONFIRMED, "It was asked about c-brie and told 0 facts.", id="nothing"),
        pytest.param(
            [("customer.issue_opened", ISSUE), ("consent.withdrawn", CONSENT)],
            Answer.CONFIRMED,
            "It was asked about c-brie and told 2 facts.",
            id="an issue and a consent",
        ),
        pytest.param(
            [("customer.issue_opened", ISSUE | {"customer": {"customer": "c-mia"}})],
            Answer.UNAVAILABLE,
            "It was asked about customer c-brie and told of something else (customer.issue_opened).",
            id="somebody else",
        ),
        pytest.param(
            [("consent.granted", CONSENT | {"person": {"email": "brie@example.com"}})],
            Answer.UNAVAILABLE,
            "It was asked about customer c-brie and told of something else (consent.granted).",
            id="nobody by that id",
        ),
    ],
)
def test_what_a_source_tells_of_a_customer(
    facts: list[tuple[str, dict[str, object]]], answer: Answer, sentence: str
) -> None:
    assert about_customer("crm", "c-brie", told(*facts)) == SourceAnswer(answer, sentence, "crm")


def _any(type_: FactType) -> Event:
    """A fact of that type about order o1 and customer c-brie, as far as the type speaks of either."""
    data: dict[str, object] = {
        "order": "o1",
        "outcome": "won",
        "issue": "i1",
        "scope": "contact",
        "reason": "any",
        "note": "any",
        "referral": "r1",
        "program": "acme-friends",
        "referrer": "dexter",
        "channel": "email",
        "code": "DEX",
        "customer": BRIE,
        "person": BRIE,
        "referee": BRIE,
        "to_referrer": "mia",
        "score": 5,
        "form": "w9",
        "payee": "dexter",
        "rail": "account_credit",
        "amount": "80.00",
        "currency": "USD",
        "kind": "refund" if type_ is FactType.CONVERSION_REVERSED else "purchase",
    }
    if type_ is FactType.REFERRER_ENROLLED:
        data["customer"] = "c-brie"
    (event,) = told((type_, data))
    return event


@pytest.mark.parametrize("type_", FactType)
def test_only_facts_of_an_order_are_taken_of_one_asked_about_an_order(type_: FactType) -> None:
    answer = about_order("shop", OrderName("o1"), [*told((RECORDED, RECORD)), _any(type_)])
    assert (answer.answer is Answer.CONFIRMED) == (type_ in {fact.type for fact in ALL_OF_AN_ORDER})


@pytest.mark.parametrize("type_", FactType)
def test_only_issues_and_consents_are_taken_of_one_asked_about_a_customer(type_: FactType) -> None:
    answer = about_customer("crm", "c-brie", [_any(type_)])
    assert (answer.answer is Answer.CONFIRMED) == (type_ in {fact.type for fact in ALL_OF_A_CUSTOMER})


@pytest.mark.parametrize(
    "answer",
    [
        about_order("shop", OrderName("o1"), ALL_OF_AN_ORDER),
        about_order("shop", OrderName("o1"), ALL_OF_A_CUSTOMER),
        about_customer("crm", "c-brie", ALL_OF_A_CUSTOMER),
        about_customer("crm", "c-brie", ALL_OF_AN_ORDER),
        told_otherwise(about_order("shop", OrderName("o1"), ALL_OF_AN_ORDER), 2),
    ],
    ids=lambda answer: answer.sentence,
)
def test_no_sentence_says_anything_personal(answer: SourceAnswer) -> None:
    assert "brie@" not in answer.sentence
    assert "Cheese" not in answer.sentence


def test_a_source_that_contradicts_itself_contradicts_whatever_it_said() -> None:
    said = SourceAnswer(Answer.CONFIRMED, "It knows order o1.", "shop", "ab12")
    why = "It tells 2 of its facts otherwise than before, under the same ids."
    assert told_otherwise(said, 2) == SourceAnswer(Answer.CONTRADICTED, why, "shop", "ab12")


def test_our_own_record_confirms_and_says_that_nobody_else_was_asked() -> None:
    answer = register_answer("o1")
    assert (answer.answer, answer.source) == (Answer.CONFIRMED, REGISTER)
    assert "no outside source was asked" in answer.sentence


THERE = SourceAnswer(Answer.CONFIRMED, "It is there.", "shop")
AGAINST = SourceAnswer(Answer.CONTRADICTED, "It knows nothing.", "shop")
AWAY = unavailable("shop", "It is not there.")


@pytest.mark.parametrize(
    ("order", "conversion", "customer", "record", "all_came"),
    [
        pytest.param("o1", THERE, None, None, True, id="there, and nobody knows customers"),
        pytest.param("o1", AGAINST, None, None, True, id="a contradiction is an answer"),
        pytest.param("o1", AWAY, None, None, False, id="away"),
        pytest.param(None, AWAY, None, None, True, id="nothing to ask about"),
        pytest.param("o1", THERE, "c-brie", THERE, True, id="both there"),
        pytest.param("o1", THERE, "c-brie", AWAY, False, id="the source of customers away"),
        pytest.param("o1", AWAY, "c-brie", THERE, False, id="the source of conversions away"),
        pytest.param("o1", THERE, None, AWAY, True, id="no customer to ask about"),
    ],
)
def test_all_came_if_each_that_could_be_asked_answered(
    order: str | None, conversion: SourceAnswer, customer: str | None, record: SourceAnswer | None, all_came: bool
) -> None:
    question = Question("r1", "shop", order, "crm" if record else None, customer)
    assert Answers(question, conversion, record).all_came is all_came


@pytest.mark.parametrize(
    ("question", "asks_outside"),
    [
        (Question("r1", conversions=REGISTER, order="o1"), False),
        (Question("r1", conversions=REGISTER, order="o1", customers=REGISTER, customer="c1"), False),
        (Question("r1", conversions="shop", order=None), False),
        (Question("r1", conversions="shop", order="o1"), True),
        (Question("r1", conversions=REGISTER, order="o1", customers="crm", customer=None), False),
        (Question("r1", conversions=REGISTER, order="o1", customers="crm", customer="c1"), True),
    ],
)
def test_a_question_asks_outside_if_there_is_something_to_ask_of_a_source_that_is_not_ours(
    question: Question, asks_outside: bool
) -> None:
    assert question.asks_outside is asks_outside


def _vain(*fields: str) -> list[FactWarning]:
    return [FactWarning(WarningKind.UNKNOWN_FIELD, f"data.{field}", "changes nothing") for field in fields]


@pytest.mark.parametrize(
    ("warnings", "sentence"),
    [
        ([], "It knows order o1."),
        (_vain("amout"), "It knows order o1. Of what it told: data.amout changes nothing."),
        (_vain("a", "a", "b"), "It knows order o1. Of what it told: data.a changes nothing; data.b changes nothing."),
        (_vain("a", "b", "c", "d", "e"), "It knows order o1. Of what it told: data.a changes nothing; "
                                         "data.b changes nothing; data.c changes nothing; and 2 more."),
    ],
)  # fmt: skip
def test_what_a_source_tells_in_vain_stands_in_its_answer(warnings: list[FactWarning], sentence: str) -> None:
    said = SourceAnswer(Answer.CONFIRMED, "It knows order o1.", "shop", "ab12")
    assert with_warnings(said, warnings) == SourceAnswer(Answer.CONFIRMED, sentence, "shop", "ab12")
