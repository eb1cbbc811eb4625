"""Messages about an input: they keep their case, say what would be right, and name the nearest of what is known."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from referral_rewards.domain.errors import FactInvalid, NotFound, nearest, none_of, uncapitalized
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.validation import problems_of, unknown_names

BOUGHT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "shop",
    "type": "conversion.recorded",
    "time": "2026-07-15T10:00:00Z",
    "data": {"order": "o1", "kind": "purchase", "customer": {}, "amount": "25.00", "currency": "USD"},
}
SENT: dict[str, Any] = {
    **BOUGHT,
    "type": "referral.sent",
    "data": {"referral": "r1", "program": "p", "referrer": "d", "channel": "email"},
}
CLAIM_BY_CODE: dict[str, Any] = {**BOUGHT, "type": "referral.claimed", "data": {"program": "p", "channel": "link"}}
NO_CODE = "a code is 1 to 200 letters and digits; spaces and hyphens between them do not count"
EMAIL, PHONE = (
    f"looks like {what}; ids stand in histories, send an opaque id" for what in ("an email address", "a phone number")
)


MIXED = "mixes letters of alphabets that look alike; send the id in one alphabet"


def told(event: dict[str, Any], **data: Any) -> list[str]:
    with pytest.raises(FactInvalid) as refused:
        parse_event({**event, "data": {**event["data"], **data}})
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("event", "data", "problem"),
    [
        (SENT, {"referrer": "d\u0435xter"}, f"data.referrer: {MIXED}"),
        (CLAIM_BY_CODE, {"referrer_code": " - "}, f"data.referrer_code: {NO_CODE}"),
        (CLAIM_BY_CODE, {"referrer_code": "otto@example.com"}, f"data.referrer_code: {EMAIL}"),
        (CLAIM_BY_CODE, {"referrer_code": "416 555 0173"}, f"data.referrer_code: {PHONE}"),
        (BOUGHT, {"currency": "usd"}, "data.currency: 'usd' is not an ISO 4217 currency code such as USD"),
        (BOUGHT, {"amount": 25.0}, 'data.amount: 25.00 is a number; write it as text: "25.00"'),
        (BOUGHT, {"amount": 25.125}, 'data.amount: 25.125 is a number; write it as text: "25.125"'),
        (BOUGHT, {"amount": 25}, 'data.amount: 25 is a number; write it as text: "25"'),
        (BOUGHT, {"order": None}, "data.order: must be a text"),
        (BOUGHT, {"order": ""}, "data.order: must not be empty"),
        (BOUGHT, {"new_customer": "perhaps"}, "data.new_customer: must be true or false"),
        (BOUGHT, {"customer": "c1"}, "data.customer: must be an object"),
        (
            SENT,
            {"channel": "emial"},
            "data.channel: must be 'email', 'social', 'link', 'word_of_mouth' or 'lead'; did you mean 'email'?",
        ),
    ],
)
def test_a_problem_says_what_would_be_right(event: dict[str, Any], data: dict[str, Any], problem: str) -> None:
    assert told(event, **data) == [problem]


@pytest.mark.parametrize(
    ("source", "looks_like"),
    [
        ("brie@example.com", "an email address"),
        ("//shop/brie@example.com", "an email address"),
        ("+1 416 555 0100", "a phone number"),
    ],
)
def test_a_source_is_a_system_and_no_person(source: str, looks_like: str) -> None:
    with pytest.raises(FactInvalid, match=f"source: looks like {looks_like}"):
        parse_event({**BOUGHT, "source": source})


@pytest.mark.parametrize(
    "source",
    [
        "shop",
        "c01/site",
        "//shop.example/orders",
        "https://shop.example/2026-07-15",
        "urn:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    ],
)
def test_a_source_may_be_a_name_or_an_address_of_a_system(source: str) -> None:
    assert parse_event({**BOUGHT, "source": source}).source == source


def test_what_is_missing_is_required() -> None:
    with pytest.raises(FactInvalid) as refused:
        parse_event({**BOUGHT, "type": None, "data": {}})
    assert "is required, one of referrer.enrolled" in str(refused.value)
    with pytest.raises(FactInvalid, match=r"data\.order: is required"):
        parse_event({**BOUGHT, "data": {}})


def test_what_stands_in_the_wrong_field_is_not_repeated() -> None:
    assert "brie@example.com" not in "".join(told(SENT, channel="brie@example.com"))


@pytest.mark.parametrize(
    "time", ["15.07.2026 10:00", "15.07.2026", "7/15/2026", "7/15/2026 10:00 AM", "15-07-2026 10:00:00", "46218.41667"]
)
def test_a_spreadsheets_date_is_named_and_never_guessed(time: str) -> None:
    with pytest.raises(FactInvalid) as refused:
        parse_event({**BOUGHT, "time": time})
    assert [str(each) for each in refused.value.problems] == [
        f"time: {time!r} is written as spreadsheets do; write year-month-day, T and the time with an offset, "
        "for example 2026-06-01T14:00:00Z"
    ]


@pytest.mark.parametrize("time", ["2026-07-15T10:00:00Z", "2026-07-15 10:00:00+02:00", "20260715T100000Z"])
def test_a_moment_with_an_offset_is_taken(time: str) -> None:
    assert parse_event({**BOUGHT, "time": time}).occurred_at.year == 2026


@pytest.mark.parametrize("time", ["soon", "", None, 5, "2026-13-45"])
def test_what_is_no_moment_at_all_is_required(time: Any) -> None:
    with pytest.raises(FactInvalid, match="time: is required, in RFC 3339 with an offset"):
        parse_event({**BOUGHT, "time": time})


@pytest.mark.parametrize(
    ("name", "found"), [("acme-freinds", "acme-friends"), ("ACME-FRIENDS", "acme-friends"), ("zzz", None), ("", None)]
)
def test_the_nearest_name_is_found_whatever_its_case(name: str, found: str | None) -> None:
    assert nearest(name, ["acme-friends", "acme-partners"]) == found


def test_whoever_mistypes_a_name_is_told_the_nearest() -> None:
    assert str(NotFound("program", "acme-freinds", ["acme-friends"])) == (
        "there is no program 'acme-freinds'; did you mean 'acme-friends'?"
    )
    assert str(NotFound("program", "zzz", ["acme-friends"])) == "there is no program 'zzz'"
    assert none_of("verifed", ["terms_met", "verified"]) == (
        "'verifed' is none of terms_met, verified; did you mean 'verified'?"
    )
    assert (
        unknown_names("stat", ["state", "rail"])
        == 'Unknown filter "stat". Did you mean "state"? Available: rail, state'
    )
    assert unknown_names("for", ["rail"]) == 'Unknown filter "for". Available: rail'


@pytest.mark.parametrize(
    ("message", "said"), [("Expecting value", "expecting value"), ("UTF-8 only", "UTF-8 only"), ("", ""), ("A", "A")]
)
def test_only_the_first_letter_of_a_sentence_is_made_small(message: str, said: str) -> None:
    assert uncapitalized(message) == said


@given(name=st.text(), known=st.lists(st.text(min_size=1)))
def test_the_nearest_name_is_always_a_known_one(name: str, known: list[str]) -> None:
    assert nearest(name, known) in {None, *known}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    names: list[str] = Field(min_length=1)
    pair: list[str] = Field(min_length=2)


def test_what_a_list_lacks_and_what_nobody_knows_is_said_in_our_words() -> None:
    with pytest.raises(ValidationError) as refused:
        _Asked.model_validate({"names": [], "pair": ["a"], "nmaes": []})
    assert [str(each) for each in problems_of(refused.value, lambda path: ".".join(map(str, path)))] == [
        "names: must not be empty",
        "pair: must have at least 2 entries",
        "nmaes: is unknown here; leave it out, or check how it is spelled",
    ]
