"""What an id, a code and the name of a source may be: each kind of field of each type of fact keeps to the one rule."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from pydantic import BaseModel

from referral_rewards.domain.errors import FactInvalid
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.ids import code_problem, event_id_problem, id_problem, source_problem
from referral_rewards.domain.facts.payloads import PAYLOADS, FactType

_LINES: Final = (Path(__file__).parents[2] / "examples" / "facts-by-type.jsonl").read_text().splitlines()
EXAMPLES: Final[Mapping[str, dict[str, Any]]] = {each["type"]: each for each in map(json.loads, _LINES)}

#: Characters that nobody sees: they turn text around, join letters, or fill a place with nothing.
UNSEEN: Final = {
    "right-to-left override": "\u202e",
    "left-to-right isolate": "\u2066",
    "pop directional isolate": "\u2069",
    "right-to-left mark": "\u200f",
    "arabic letter mark": "\u061c",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "hangul filler": "\u3164",
    "hangul jungseong filler": "\u1160",
    "combining grapheme joiner": "\u034f",
    "khmer inherent vowel": "\u17b4",
    "mongolian variation selector": "\u180b",
    "variation selector": "\ufe0f",
    "variation selector 17": "\U000e0100",
    "braille blank": "\u2800",
    "tag": "\U000e0041",
    "private use": "\ue000",
    "not assigned": "\U000e1000",
    "line separator": "\u2028",
    "delete": "\x7f",
    "escape": "\x1b",
}
ADDRESSES: Final = (
    "brie@163.com",
    "brie@localhost",
    "brie@example.com",
    "brie%40example.com",
    "Brie.Cheese+shop@mail.example.co.uk",
    "cafe\u0301@b\u00fc.de",
)
PHONES: Final = (
    *("+14165550100", "+1-416-555-0100", "+44.20.7946.0018", "tel:+14165550100", "whatsapp:+14165550100"),
    *("0014165550100", "0049-30-901820123", "416-555-0100", "416.555.0100", "1-416-555-0100"),
    *("(416)555-0100", "1(416)555-0100", "06.12.34.56.78", "06-12-34-56-78"),
)
#: Examples of the banks' own registry, as one writes them in a field.
IBANS: Final = (
    *("DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NL91ABNA0417164300"),
    *(
        "NO9386011117947",
        "CH9300762011623852957",
        "BE68539007547034",
        "ES9121000418450200051332",
        "de89370400440532013000",
    ),
    *("IT60X0542811101000000123456", "PL61109010140000071219812874", "DE89-3704-0044-0532-0130-00"),
)
#: Numbers of orders, invoices and goods, dates, and what else consists of digits and is no phone number.
NUMBERS: Final = (
    *("1", "1001", "5550100", "4165550173", "14165550173", "491701234567", "123456789012345678"),
    *("0000012345", "0049301234", "000000000000123", "00012345678905", "#1001", "2026-07-10", "2026.07.10"),
    *("2026-0001", "2026-07-0123", "07-2026-0123", "001-0000123", "100-0001", "123-4567890-1234567"),
    *("20260710-4165550173", "1.001", "12-34-56", "+1", "+123456"),
)


#: Ids as systems make them, of letters of one alphabet.
OPAQUE: Final = (
    *("dexter", "c-brie-1", "gold-7", "order_0001", "a" * 200, "R_1:2/3", "3f2504e04f8911d39a0c0305e82c3301"),
    # Like an IBAN: with other check digits, of another length, of no country, with a letter where digits are.
    *("DE88370400440532013000", "DE8937040044053201300", "ZZ89370400440532013000", "DE8937040044053201300A"),
    *("NO1699999999999", "SO89370400440532013000", "INV2026000000000123", "4111111111111111", "378282246310005"),
    *("@handle", "orders@42", "pkg@1.0.3", "sent@2026-06-01T10:00:00.125Z", "0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b"),
    *("\u0437\u0430\u043a\u0430\u0437-7", "caf\u00e9-\u6ce8\u6587"),
)


@pytest.mark.parametrize("value", [*OPAQUE, *NUMBERS])
def test_opaque_id_is_taken(value: str) -> None:
    assert id_problem(value) is None
    assert event_id_problem(value) is None
    assert source_problem(value) is None


@pytest.mark.parametrize("value", NUMBERS)
def test_digits_alone_are_a_code(value: str) -> None:
    assert code_problem(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *("", "a" * 201, "two words", "line\nbreak", "line-end\n", ".", "..", "hard\u00a0space"),
        *("\uff44exter", "brie\uff20example.com", "de\ufb01"),  # reads like another id
        *("d\u0435xter", "\u0391cme", "c-\u0440\u0430ul"),  # a Cyrillic е, a Greek Α
    ],
)
def test_id_that_is_empty_or_long_or_reads_like_another_is_refused(value: str) -> None:
    assert id_problem(value)


@pytest.mark.parametrize("character", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("place", ["{}dexter", "dex{}ter", "dexter{}"])
def test_what_nobody_sees_is_in_no_name(place: str, character: str) -> None:
    value = place.format(character)
    for problem in (id_problem, event_id_problem, source_problem, code_problem):
        assert problem(value), problem.__name__


@pytest.mark.parametrize("value", [*ADDRESSES, *PHONES, *IBANS])
def test_nobodys_address_or_number_is_a_name(value: str) -> None:
    for problem in (id_problem, event_id_problem, source_problem, code_problem):
        assert problem(value), problem.__name__


@pytest.mark.parametrize(
    "value", ["order 7 of 9", "\u0437\u0430\u043a\u0430\u0437 7", "d\u0435xter", "//shop.example/a?b=c", "urn:x:7"]
)
def test_a_system_may_name_itself_and_its_events_in_words(value: str) -> None:
    assert event_id_problem(value) is None
    assert source_problem(value) is None


@pytest.mark.parametrize("value", [None, 7, "", " ", " shop", "shop ", "x" * 501, "\u6f22" * 334])
def test_a_name_that_is_none_is_refused(value: Any) -> None:
    assert event_id_problem(value)
    assert source_problem(value)


@pytest.mark.parametrize(
    "value", ["MIRA-C01", "mira c01", "mira\u00a0c01", "\uff2d\uff29\uff32\uff21", "m\u0456ra", "2026"]
)
def test_a_code_is_taken_as_people_type_it(value: str) -> None:
    assert code_problem(value) is None


def test_no_moment_behind_no_is_taken_for_an_account_but_one_in_a_thousand() -> None:
    refused = [number for number in range(1_700_000_000_000, 1_700_000_020_000) if id_problem(f"NO{number}")]
    assert len(refused) <= 20


def _texts(model: type[BaseModel], *path: str) -> Iterator[tuple[str, ...]]:
    """The paths to all declared fields of a payload that hold text and no number."""
    for name, field in model.model_fields.items():
        kinds = {field.annotation, *get_args(field.annotation)}
        parts = [each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)]
        for part in parts:
            yield from _texts(part, *path, name)
        if not parts and not kinds & {bool, int} and name != "amount":
            yield (*path, name)


PLACES: Final = [(type_, *path) for type_ in FactType for path in _texts(PAYLOADS[type_])]
#: Somebody's own words, which stay with the personal data where they could be personal.
WORDS: Final = frozenset({"by", "reference", "country", "coupon"})
BAD: Final = (
    "dex\u202eter",
    "dex\u200bter",
    "dex\u3164ter",
    "brie@example.com",
    "+14165550100",
    "416-555-0100",
    "DE89370400440532013000",
)


def _with(type_: FactType, path: tuple[str, ...], value: str) -> dict[str, Any]:
    document = deepcopy(EXAMPLES[type_])
    part = document["data"]
    for step in path[:-1]:
        part = part.setdefault(step, {})
    part[path[-1]] = value
    return document


def test_the_places_are_found() -> None:
    names = {path[-1] for _, *path in PLACES}
    assert names >= {
        "customer",
        "order",
        "referral",
        "referrer",
        "payee",
        "code",
        "referrer_code",
        "dispute",
        "reversal",
    }
    assert names >= {"program", "partner", "issue", "kind", "rail", "scope", "to_referrer", "from_referrer"}


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_no_field_takes_what_nobody_sees_or_who_somebody_is(place: tuple[Any, ...]) -> None:
    type_, *path = place
    for value in BAD:
        document = _with(type_, tuple(path), value)
        if path[-1] in WORDS and (type_, path[-1]) != (FactType.REWARD_REQUESTED, "by"):
            assert value not in json.dumps(parse_event(document).public, ensure_ascii=False)
            continue
        with pytest.raises(FactInvalid) as refused:
            parse_event(document)
        assert ".".join(("data", *path)) in {each.where for each in refused.value.problems}, ascii(value)


@pytest.mark.parametrize("value", BAD, ids=ascii)
@pytest.mark.parametrize("name", ["id", "source"])
def test_no_fact_is_named_so(name: str, value: str) -> None:
    with pytest.raises(FactInvalid) as refused:
        parse_event({**EXAMPLES[FactType.REFERRAL_SENT], name: value})
    assert [each.where for each in refused.value.problems] == [name]
