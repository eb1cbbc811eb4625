"""What intake warns of: each kind by its table, a file's warnings in constant memory, and what became of each fact."""

import json
import tracemalloc
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.intake_warnings import (
    GROUPS_MAX,
    LINES_MAX,
    FactWarning,
    WarningKind,
    WarningsOfFile,
    unknown_programs,
)
from referral_rewards.domain.facts.outcomes import LineRun, Outcome, line_runs, outcomes
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.phones import Regions
from referral_rewards.domain.facts.unread_phones import unread_phone

EXAMPLES: Final = [
    json.loads(line)
    for name in ("facts-by-type", "dexter-and-brie")
    for line in (Path(__file__).parents[2] / "examples" / f"{name}.jsonl").read_text().splitlines()
]
MARKER: Final = Marker(b"a pepper of sixteen bytes", Regions(None, {"acme/canada": "CA"}))


def warned(type_: FactType, *, source: str = "acme/site", **changes: Any) -> list[tuple[str, str, str]]:
    """What is warned of in the example of a type with these changes; ``a__b`` is a field of a part."""
    document = deepcopy(next(each for each in EXAMPLES if each["type"] == type_)) | {"source": source}
    for name, value in changes.items():
        *way, last = name.split("__")
        part = document["data"]
        for step in way:
            part = part.setdefault(step, {})
        part[last] = value
    event = parse_event(document)
    phone = unread_phone(event.type, event.data, event.marks(MARKER), MARKER.region_of(source))
    return [(each.kind, each.where, each.what) for each in (*event.warnings, *((phone,) if phone else ()))]


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: f"{document['id']}-{document['type']}")
def test_what_is_said_rightly_is_not_warned_of(document: dict[str, Any]) -> None:
    event = parse_event(document)
    assert event.warnings == ()
    assert unread_phone(event.type, event.data, event.marks(MARKER), None) is None


_VAIN: Final = "and changes nothing"


@pytest.mark.parametrize(
    ("type_", "changes", "where", "what"),
    [
        (FactType.REFERRAL_SENT, {"refferer": "x"}, "data.refferer",
         f"is no field of referral.sent {_VAIN}; did you mean 'referrer'?"),
        (FactType.REFERRAL_SENT, {"cart": "x"}, "data.cart", f"is no field of referral.sent {_VAIN}"),
        (FactType.REFERRAL_SENT, {"email": "b@example.com"}, "data.email",
         f"is no field of referral.sent {_VAIN}; write it in data.referee"),
        (FactType.REFERRAL_SENT, {"referee__emial": "b@example.com"}, "data.referee.emial",
         f"is no field of a person {_VAIN}; did you mean 'email'?"),
        (FactType.CONVERSION_RECORDED, {"customer__ammount": "1"}, "data.customer.ammount",
         f"is no field of a person {_VAIN}"),
        (FactType.CONVERSION_RECORDED, {"Amount": "80.00"}, "data.Amount",
         f"is no field of conversion.recorded {_VAIN}; did you mean 'amount'?"),
        (FactType.CONVERSION_REVERSED, {"refund": "re-1"}, "data.refund",
         f"is no field of conversion.reversed {_VAIN}"),
        (FactType.CONSENT_GRANTED, {"email": "b@example.com"}, "data.email",
         f"is no field of consent.granted {_VAIN}; write it in data.person"),
        # Names that are no names are not repeated: they may be somebody's address, or move a terminal's cursor.
        (FactType.REFERRAL_SENT, {"brie@example.com": "x"}, "data.…", f"is no field of referral.sent {_VAIN}"),
        (FactType.REFERRAL_SENT, {"\x1b[2J": "x"}, "data.…", f"is no field of referral.sent {_VAIN}"),
        (FactType.REFERRAL_SENT, {"x" * 100_000: "x"}, "data.…", f"is no field of referral.sent {_VAIN}"),
    ],
)  # fmt: skip
def test_field_that_the_type_does_not_have_is_warned_of(
    type_: FactType, changes: dict[str, Any], where: str, what: str
) -> None:
    assert warned(type_, **changes) == [(WarningKind.UNKNOWN_FIELD, where, what)]


@pytest.mark.parametrize(
    ("type_", "changes"),
    [
        (FactType.REFERRAL_CLAIMED, {"ip": "::1", "device": "d", "gclid": "x", "referring_url": "https://example.com"}),
        (
            FactType.CONVERSION_RECORDED,
            {"items": [], "coupon": "c", "country": "CA", "subscription": "s"},
        ),
        (FactType.CONVERSION_REVERSED, {"store": "x", "reason": "returned"}),
        (FactType.METHOD_SET, {"name": "Dexter"}),
        (FactType.REFERRAL_SENT, {"referee__address": "1 Elm St", "referee__country": "CA", "note": "hello"}),
    ],
)
def test_field_beside_the_public_ones_is_known(type_: FactType, changes: dict[str, Any]) -> None:
    assert warned(type_, **changes) == []


def test_of_many_unknown_fields_the_first_are_told() -> None:
    found = warned(FactType.REFERRAL_SENT, **{f"zz{n}": "x" for n in range(100_000)})
    assert [where for _, where, _ in found] == [
        "data.zz0",
        "data.zz1",
        "data.zz10",
        "data.zz100",
        "data.zz1000",
        "data",
    ]
    assert found[-1] == (WarningKind.UNKNOWN_FIELD, "data", "referral.sent has none of the further fields")


@pytest.mark.parametrize(
    ("phone", "source", "why"),
    [
        ("(416) 555-0173", "acme/site", "names no country, and no region is set for its source"),
        ("416-555-0173", "acme/canada", None),
        ("+1 416 555 0173", "acme/site", None),
        ("001 416 555 0173", "acme/site", None),
        ("555-0173", "acme/canada", "is no number of the region CA and names no other country"),
        ("123456789012345678", "acme/canada", "is no number of the region CA and names no other country"),
        ("n/a", "acme/site", "is no phone number"),
        ("n/a", "acme/canada", "is no phone number"),
        ("0000000000", "acme/site", "is no phone number"),
        ("123", "acme/site", "is no phone number"),
        ("", "acme/site", None),
        ("  ", "acme/site", None),
        (None, "acme/site", None),
        (4165550188, "acme/site", "is no text"),
    ],
)
@pytest.mark.parametrize(
    ("type_", "field"),
    [
        (FactType.REFERRER_ENROLLED, "phone"),
        (FactType.REFERRAL_SENT, "referee__phone"),
        (FactType.REFERRAL_CLAIMED, "referee__phone"),
        (FactType.CONVERSION_RECORDED, "customer__phone"),
        (FactType.CONSENT_WITHDRAWN, "person__phone"),
    ],
)
def test_phone_that_cannot_be_read_is_warned_of(
    type_: FactType, field: str, phone: Any, source: str, why: str | None
) -> None:
    found = warned(type_, source=source, **{field: phone})
    assert [(kind, where) for kind, where, _ in found] == (
        [(WarningKind.UNREADABLE_PHONE, f"data.{field.replace('__', '.')}")] if why else []
    )
    for _, _, what in found:
        assert what.startswith(f"{why}: it matches no order; write it as +14165550173")
        assert ("REFERRALS_REGION" in what) is ("no region is set" in what)
        assert str(phone) not in what


@pytest.mark.parametrize(
    ("type_", "changes", "kind", "where", "what"),
    [
        (FactType.CONVERSION_REVERSED, {"kind": "Refnd"}, WarningKind.UNKNOWN_WORD, "data.kind",
         "'refnd' is none of refund, return, cancellation, chargeback_lost; did you mean 'refund'?; it counts as a"
         " reversal all the same"),
        (FactType.CONSENT_GRANTED, {"scope": "newsletter"}, WarningKind.UNKNOWN_WORD, "data.scope",
         "'newsletter' is none of contact, public_advocacy; it changes nothing"),
        (FactType.CONVERSION_REVERSED, {"amount": "1.005"}, WarningKind.AMOUNT_WITHOUT_EFFECT, "data.amount",
         "1.005 has more decimals than USD has: it takes nothing by itself"),
    ],
)  # fmt: skip
def test_word_or_amount_without_effect_is_warned_of(
    type_: FactType, changes: dict[str, Any], kind: WarningKind, where: str, what: str
) -> None:
    assert warned(type_, **changes) == [(kind, where, what)]


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("Purchase", "purchase"),
        ("purchases", "purchase"),
        ("SUBSCRIPTION", "subscription"),
        ("account-opened", "account_opened"),
        ("purchase", None),
        ("account_opened", None),
        ("newsletter_signup", None),
        ("lesson", None),
    ],
)
def test_a_kind_that_nearly_is_a_usual_one_is_warned_of(kind: str, meant: str | None) -> None:
    told = f"{kind!r} counts only where the terms write it so; did you mean {meant!r}?"
    expected = [] if meant is None else [(WarningKind.UNKNOWN_WORD, "data.kind", told)]
    assert warned(FactType.CONVERSION_RECORDED, kind=kind) == expected


@pytest.mark.parametrize("kind", ["refund", "Refund", "RETURN", "Chargeback_Lost", "cancellation"])
def test_kind_of_reversal_is_read_without_case(kind: str) -> None:
    assert warned(FactType.CONVERSION_REVERSED, kind=kind) == []


@pytest.mark.parametrize("scope", ["Contact", "PUBLIC_ADVOCACY"])
def test_scope_of_a_consent_is_read_without_case(scope: str) -> None:
    assert warned(FactType.CONSENT_WITHDRAWN, scope=scope) == []


@pytest.mark.parametrize(
    ("named", "published", "told"),
    [
        (["acme-friends"], ["acme-friends"], {}),
        (["acme-freinds"], ["acme-friends", "other"],
         {"acme-freinds": "'acme-freinds' is not published; the fact waits until it is; did you mean 'acme-friends'?"}),
        (["acme-friends"], [], {"acme-friends": "'acme-friends' is not published; the fact waits until it is"}),
        ([], ["acme-friends"], {}),
    ],
)  # fmt: skip
def test_program_that_is_not_published_is_warned_of(
    named: list[str], published: list[str], told: dict[str, str]
) -> None:
    found = unknown_programs(named, published)
    assert {program: each.what for program, each in found.items()} == told
    assert all(each[:2] == (WarningKind.UNKNOWN_PROGRAM, "data.program") for each in found.values())


# -- a file's warnings


def test_equal_warnings_are_counted_together_with_their_first_lines() -> None:
    found = WarningsOfFile()
    one = FactWarning(WarningKind.UNKNOWN_FIELD, "data.a", "x")
    other = FactWarning(WarningKind.UNKNOWN_PROGRAM, "data.program", "y")
    for line in range(1, 9):
        found.add(line, one)
    found.add(9, other)
    groups = [(each.kind, each.where, each.count, each.lines) for each in found]
    assert groups == [
        (WarningKind.UNKNOWN_PROGRAM, "data.program", 1, [9]),
        (WarningKind.UNKNOWN_FIELD, "data.a", 8, [1, 2, 3, 4, 5]),
    ]


def test_a_files_warnings_take_the_same_memory_whatever_its_length() -> None:
    found = WarningsOfFile()

    def add(first: int, last: int) -> int:
        tracemalloc.start()
        for line in range(first, last):
            for kind in WarningKind:
                found.add(line, FactWarning(kind, f"data.field{line}", "x"))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    add(0, GROUPS_MAX + LINES_MAX)
    assert add(GROUPS_MAX + LINES_MAX, 5000) < 2000  # bytes that stay
    groups = list(found)
    assert len(groups) == len(WarningKind) * (GROUPS_MAX + 1)
    assert sum(each.count for each in groups) == 5000 * len(WarningKind)
    assert all(len(each.lines) <= LINES_MAX for each in groups)
    assert groups[GROUPS_MAX].what == "further warnings of this kind, not told apart"


# -- what became of each


def _event(event_id: str, program: str = "acme") -> Event:
    data = {"referrer": "dexter", "program": program}
    document = {"specversion": "1.0", "id": event_id, "source": "x", "type": "referrer.suspended"}
    return parse_event({**document, "time": "2026-01-01T00:00:00Z", "data": data})


def test_each_event_has_its_outcome() -> None:
    new, parked, known, contradicting = _event("1"), _event("2", "unheard-of"), _event("3"), _event("4")
    told = [new, parked, new, known, contradicting, parked]
    found = outcomes(told, {new.id, parked.id}, frozenset({4}), {"unheard-of"})
    assert found == (
        *(Outcome.RECORDED, Outcome.PARKED, Outcome.REPEATED),
        *(Outcome.REPEATED, Outcome.CONFLICT, Outcome.REPEATED),
    )


def test_lines_of_one_outcome_are_a_run() -> None:
    recorded, refused = Outcome.RECORDED, Outcome.REFUSED
    told = [(1, recorded), (2, recorded), (5, recorded), (7, recorded), (6, refused)]
    assert list(line_runs(told)) == [LineRun(1, 5, recorded), LineRun(6, 6, refused), LineRun(7, 7, recorded)]
    assert list(line_runs([])) == []
