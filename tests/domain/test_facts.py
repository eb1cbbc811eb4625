"""The parser of facts: every type of the contract, every problem named, and nothing personal among public fields."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.errors import FactInvalid
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import CLOCK_SKEW_MAX, Fact, parse_event, too_far_ahead
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.payloads import PAYLOADS, FactType

MARKER = Marker(b"a pepper of sixteen bytes")
BY_TYPE = Path(__file__).parents[2] / "examples" / "facts-by-type.jsonl"
EXAMPLES = [json.loads(line) for line in BY_TYPE.read_text().splitlines()]
PERSONAL = ("@", "+1", "Brie", "203.0.113", "Mozilla", "fp-1", "d-9")


def example(type_: FactType) -> dict[str, Any]:
    return deepcopy(next(document for document in EXAMPLES if document["type"] == type_))


def problems(document: Any) -> list[str]:
    with pytest.raises(FactInvalid) as refused:
        parse_event(document)
    return [str(problem) for problem in refused.value.problems]


def test_contract_has_an_example_of_every_type() -> None:
    assert {document["type"] for document in EXAMPLES} == set(FactType) == set(PAYLOADS)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: f"{document['id']}-{document['type']}")
def test_example_is_taken_as_it_came(document: dict[str, Any]) -> None:
    event = parse_event(document)
    assert (event.source, event.event_id, event.type) == (document["source"], document["id"], document["type"])
    assert event.occurred_at == datetime.fromisoformat(document["time"])
    assert event.data == document["data"]


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: f"{document['id']}-{document['type']}")
def test_every_type_is_filed_under_a_key(document: dict[str, Any]) -> None:
    event = parse_event(document)
    assert keys.file(event, event.marks(MARKER)).keys


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: f"{document['id']}-{document['type']}")
def test_public_fields_hold_nothing_personal(document: dict[str, Any]) -> None:
    public = json.dumps(parse_event(document).public)
    assert [part for part in PERSONAL if part in public] == []


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        (FactType.REFERRAL_APPEALED, "by"),
        (FactType.CONVERSION_REPORTED, "by"),
        (FactType.SATISFACTION_RATED, "by"),
        (FactType.METHOD_SET, "reference"),
    ],
)
@pytest.mark.parametrize("words", ["brie@example.com", "+16475550100", "Brie of Elm Street"])
def test_words_that_may_be_personal_are_not_public(type_: FactType, field: str, words: str) -> None:
    document = example(type_)
    document["data"][field] = words
    event = parse_event(document)
    assert field not in event.public
    assert event.data[field] == words


@pytest.mark.parametrize(
    ("type_", "kinds"),
    [
        (FactType.REFERRER_ENROLLED, {"customer", "email", "alias", "phone"}),
        (FactType.REFERRAL_SENT, {"email", "alias", "phone"}),
        (FactType.REFERRAL_CLAIMED, {"customer", "email", "alias", "device", "ip", "agent"}),
        (FactType.CONVERSION_RECORDED, {"customer", "email", "alias", "fingerprint", "ip", "device"}),
        (FactType.REWARD_REQUESTED, {"email", "alias"}),
        (FactType.ISSUE_OPENED, {"customer"}),
        (FactType.CONSENT_GRANTED, {"email", "alias"}),
        (FactType.CONVERSION_REVERSED, set()),
        (FactType.SATISFACTION_RATED, set()),
    ],
)
def test_marks_are_of_the_person_the_fact_is_about(type_: FactType, kinds: set[str]) -> None:
    marks = parse_event(example(type_)).marks(MARKER)
    assert {mark.partition(":")[0] for mark in marks} == kinds


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"specversion": "0.3"}, 'specversion: must be "1.0"'),
        ({"id": ""}, "id: must be a text of 1 to 500 characters"),
        ({"id": "x" * 501}, "id: must be a text of 1 to 500 characters"),
        ({"id": "漢" * 334}, "id: must be a text of at most 1000 bytes in UTF-8"),
        ({"source": 7}, "source: must be a text of 1 to 500 characters"),
        ({"type": "referral.lost"}, "type: 'referral.lost' is none of"),
        ({"time": None}, "time: is required"),
        ({"time": "yesterday"}, "time: is required"),
        ({"time": "2026-06-01T14:00:00"}, "time: needs an offset"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time: lies outside the calendar"),
        ({"time": "0001-01-01T00:00:00Z"}, "time: lies before 1900"),
        ({"time": "1899-12-31T23:59:59Z"}, "time: lies before 1900"),
        ({"data": []}, "data: must be an object"),
    ],
)
def test_problem_of_the_envelope_is_named(change: dict[str, Any], told: str) -> None:
    found = problems(example(FactType.REFERRAL_SENT) | change)
    assert any(problem.startswith(told) for problem in found), found


@pytest.mark.parametrize(
    ("type_", "change", "told"),
    [
        (FactType.REFERRAL_SENT, {"referral": None}, "data.referral: "),
        (FactType.REFERRAL_SENT, {"referral": "brie@example.com"}, "data.referral: looks like an email address"),
        (FactType.REFERRAL_SENT, {"referrer": "+14165550100"}, "data.referrer: looks like a phone number"),
        (FactType.REFERRAL_SENT, {"channel": "pigeon"}, "data.channel: "),
        (FactType.REFERRAL_CLAIMED, {"referral": None}, "data.program: is required where no referral is named"),
        (FactType.CONVERSION_RECORDED, {"amount": 80}, "data.amount: "),
        (FactType.CONVERSION_RECORDED, {"amount": "-1"}, "data.amount: an amount is not negative"),
        (FactType.CONVERSION_RECORDED, {"amount": "80.001"}, "data.amount: 80.001 has more decimals than USD has"),
        (FactType.CONVERSION_RECORDED, {"amount": "NaN"}, "data.amount: "),
        (FactType.CONVERSION_RECORDED, {"currency": "USX"}, "data.currency: "),
        (FactType.CONVERSION_RECORDED, {"customer": "c-brie"}, "data.customer: "),
        (FactType.CONVERSION_REVERSED, {"kind": ""}, "data.kind: "),
        (FactType.CONVERSION_REVERSED, {"kind": "brie@example.com"}, "data.kind: looks like an email address"),
        (FactType.CONVERSION_REVERSED, {"currency": "USX"}, "data.currency: "),
        (FactType.CONVERSION_AMENDED, {"amount": None}, "data.amount: "),
        (FactType.SATISFACTION_RATED, {"score": 0}, "data.score: must be 1 to 5"),
        (FactType.SATISFACTION_RATED, {"score": 6}, "data.score: must be 1 to 5"),
    ],
)
def test_problem_of_the_payload_is_named(type_: FactType, change: dict[str, Any], told: str) -> None:
    document = example(type_)
    document["data"] |= change
    found = problems(document)
    assert any(problem.startswith(told) for problem in found), found


def test_amount_needs_its_currency() -> None:
    document = example(FactType.CONVERSION_RECORDED)
    del document["data"]["currency"]
    assert problems(document) == ["data.currency: is required beside an amount"]


def test_all_problems_are_told_at_once() -> None:
    found = problems({"specversion": "2", "type": "referral.sent", "data": {}})
    assert {problem.partition(":")[0] for problem in found} == {
        *("specversion", "id", "source", "time"),
        *("data.referral", "data.program", "data.referrer", "data.channel"),
    }


@pytest.mark.parametrize("document", [None, [], "a fact", 7])
def test_what_is_no_object_is_no_fact(document: Any) -> None:
    assert problems(document) == ["a fact is a JSON object (CloudEvents 1.0)"]


@pytest.mark.parametrize("score", [1, 5])
def test_extreme_scores_are_taken(score: int) -> None:
    document = example(FactType.SATISFACTION_RATED)
    document["data"]["score"] = score
    assert parse_event(document).public["score"] == score


def test_times_are_kept_in_utc() -> None:
    event = parse_event(example(FactType.REFERRAL_SENT) | {"time": "2026-06-01T10:00:00-04:00"})
    assert event.occurred_at == datetime(2026, 6, 1, 14, tzinfo=UTC)
    assert event.occurred_at.tzinfo is UTC


def test_fact_is_named_by_source_and_id_alone() -> None:
    one = parse_event(example(FactType.REFERRAL_SENT))
    again = parse_event(example(FactType.REFERRAL_SENT) | {"time": "2026-09-09T09:00:00Z"})
    other = parse_event(example(FactType.REFERRAL_SENT) | {"source": "acme/other"})
    assert one.fact_id == again.fact_id != other.fact_id


@given(
    source=st.from_regex(r"[a-z][a-z/]{0,20}", fullmatch=True),
    event_id=st.from_regex(r"[a-zé0-9-]{1,40}", fullmatch=True),
)
def test_fact_is_named_by_a_uuid_of_version_5(source: str, event_id: str) -> None:
    event = parse_event(example(FactType.REFERRAL_SENT) | {"source": source, "id": event_id})
    assert event.fact_id == uuid5(UUID("4f0f6cf5-9f0b-5f3e-8d0a-3f1f5b8f6d10"), f"{source}\x00{event_id}")
    assert event.id == str(event.fact_id)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: f"{document['id']}-{document['type']}")
def test_public_fields_are_stored_as_they_are_read(document: dict[str, Any]) -> None:
    event = parse_event(document)
    declared = PAYLOADS[event.type].model_validate(document["data"])
    assert event.public == declared.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    assert json.loads(event.public_content) == event.public


def test_source_and_id_do_not_run_into_each_other() -> None:
    one = parse_event(example(FactType.REFERRAL_SENT) | {"source": "a", "id": "bc"})
    other = parse_event(example(FactType.REFERRAL_SENT) | {"source": "ab", "id": "c"})
    assert one.fact_id != other.fact_id


@pytest.mark.parametrize(
    ("ahead", "refused"),
    [(timedelta(0), False), (CLOCK_SKEW_MAX, False), (CLOCK_SKEW_MAX + timedelta(microseconds=1), True)],
)
def test_fact_more_than_five_minutes_ahead_is_refused(ahead: timedelta, refused: bool) -> None:
    event = parse_event(example(FactType.REFERRAL_SENT))
    assert (too_far_ahead(event, event.occurred_at - ahead) is not None) is refused


def test_precedence_is_by_time_then_source_then_id() -> None:
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    facts = [
        Fact(parse_event(example(FactType.REFERRAL_SENT)).fact_id, source, event_id, FactType.REFERRAL_SENT, at, at, {})
        for at, source, event_id in [
            (moment + timedelta(microseconds=1), "a", "1"),
            (moment, "b", "1"),
            (moment, "a", "2"),
            (moment, "a", "1"),
        ]
    ]
    ordered = sorted(facts, key=lambda fact: fact.precedence)
    assert [(fact.source, fact.event_id) for fact in ordered] == [("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")]


def test_conversion_is_matched_by_identity_and_not_by_instrument_or_address() -> None:
    event = parse_event(example(FactType.CONVERSION_RECORDED))
    fact = Fact(
        event.fact_id,
        event.source,
        event.event_id,
        event.type,
        event.occurred_at,
        event.occurred_at,
        event.public,
        event.marks(MARKER),
    )
    assert {mark.partition(":")[0] for mark in fact.identity} == {"customer", "email", "alias"}
