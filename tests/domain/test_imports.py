"""Another tool's rows: how a cell is read, what counts as paid, and what a row becomes."""

import io
from typing import Any

import pytest

from referral_rewards.cli.facts.import_mappings import Tool, shipped
from referral_rewards.domain import calendar
from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.outcomes import Outcome
from referral_rewards.domain.imports.becoming import Became, became
from referral_rewards.domain.imports.cells import Cells, CellWrong, as_decimal, as_instant, from_minor
from referral_rewards.domain.imports.mapping import As, Said, ToolMapping, folded, load_mapping
from referral_rewards.domain.imports.rows import HOW, Row, sheet_of
from referral_rewards.domain.imports.standing import Left, keys_of, standing_of
from referral_rewards.domain.imports.translation import Translated, translated

MAPPING = """
tool: mine
follows: this test
row: id
only: {type: [sale, lead]}
status:
  - {column: state, open: [due, ""], paid: [paid], closed: [voided]}
  - {column: paid_at, open: "", paid: "*"}
facts:
  referral: referral
  referrer: referrer
  referrer_email: referrer email
  referred_at: came
  claimed_at: claimed
  referee_customer: customer
  referee_email: [email, other email]
  order: order
  amount: amount
  currency: currency
  converted_at: bought
  refunded: refunded
"""
ROW = {
    "id": "row-1",
    "type": "sale",
    "state": "due",
    "referral": "r1",
    "referrer": "a1",
    "referreremail": "mira@example.com",
    "came": "2026-07-01T10:00:00Z",
    "customer": "cus_1",
    "email": "brie@example.com",
    "order": "o1",
    "amount": "$80.00",
    "currency": "usd",
    "bought": "2026-07-10T14:00:00Z",
}


def mapping(text: str = MAPPING) -> ToolMapping:
    return load_mapping(text)


def row(**cells: str) -> Row:
    return Row(2, {**ROW, **cells})


def opened(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), **HOW)


def made(**cells: str) -> Translated:
    return translated(row(**cells), Cells(mapping()), "acme")


@pytest.mark.parametrize(
    ("text", "mark", "read"),
    [
        ("80", ".", "80"),
        ("80.00", ".", "80.00"),
        ("$1,234.50", ".", "1234.50"),
        ("1,234,567", ".", "1234567"),
        ("USD 80.00", ".", "80.00"),
        ("80.00 EUR", ".", "80.00"),
        ("€ 1.234,50", ",", "1234.50"),
        ("1 234,50 €", ",", "1234.50"),
        ("1\u00a0234,50\u00a0kr", ",", "1234.50"),
        ("CHF 1'234.50", ".", "1234.50"),
        ("CA$80.00", ".", "80.00"),
        ("-$80.00", ".", "-80.00"),
        ("$-80.00", ".", None),
        ("1,23", ".", None),  # a comma is no decimal mark here, and no mark between thousands
        ("1.234,50", ".", None),
        ("12,34,567", ".", None),
        ("(80.00)", ".", None),
        ("8e1", ".", None),
        ("٨٠", ".", None),
        ("80.00.00", ".", None),
        ("80-90", ".", None),
        ("n/a", ".", None),
    ],
)
def test_an_amount_is_read_with_its_currency_and_marks_or_not_at_all(text: str, mark: str, read: str | None) -> None:
    assert _or_none(lambda: as_decimal(text, mark)) == read


@pytest.mark.parametrize(
    ("text", "currency", "read"),
    [
        ("8000", "USD", "80.00"),
        ("8000", "JPY", "8000"),
        ("8000", "KWD", "8.000"),
        ("-5", "USD", "-0.05"),
        ("80.00", "USD", None),
        ("8000", "XYZ", None),
        ("8000", None, None),
    ],
)
def test_smallest_units_become_decimals_of_their_currency(text: str, currency: str | None, read: str | None) -> None:
    assert _or_none(lambda: from_minor(text, currency)) == read


@pytest.mark.parametrize(
    ("text", "form", "zone", "read"),
    [
        ("2026-07-10T14:00:00Z", None, "UTC", "2026-07-10T14:00:00+00:00"),
        ("2026-07-10T14:00:00.123Z", None, "UTC", "2026-07-10T14:00:00.123000+00:00"),
        ("2026-07-10 14:00:00 UTC", None, "America/Toronto", "2026-07-10T14:00:00+00:00"),
        ("2026-07-10T10:00:00-04:00", None, "UTC", "2026-07-10T14:00:00+00:00"),
        ("2026-07-10 10:00:00", None, "America/Toronto", "2026-07-10T14:00:00+00:00"),
        ("2026-07-10", None, "America/Toronto", "2026-07-10T04:00:00+00:00"),
        ("10/07/2026", "%d/%m/%Y", "UTC", "2026-07-10T00:00:00+00:00"),
        ("10/07/2026", None, "UTC", None),
        ("07/10/2026 14:00", "%d/%m/%Y", "UTC", None),
        ("20260710", None, "UTC", None),
        ("1783692000", None, "UTC", None),
        ("2026-02-30", None, "UTC", None),
    ],
)
def test_a_time_is_read_in_its_zone_and_never_guessed(text: str, form: str | None, zone: str, read: str | None) -> None:
    assert _or_none(lambda: as_instant(text, form, calendar.zone(zone))) == read


@pytest.mark.parametrize(
    ("read", "text", "time"),
    [
        (As.UNIX, "1783692000", "2026-07-10T14:00:00+00:00"),
        (As.UNIX_MS, "1783692000123", "2026-07-10T14:00:00.123000+00:00"),
        (As.UNIX, "2026-07-10", None),
        (As.UNIX, "99999999999999", None),
    ],
)
def test_seconds_since_1970_are_times(read: As, text: str, time: str | None) -> None:
    its = mapping(MAPPING.replace("referred_at: came", f"referred_at: {{column: came, as: {read}}}"))
    assert _or_none(lambda: Cells(its).read(Said.REFERRED_AT, row(came=text))) == time


def _or_none(read: Any) -> str | None:
    try:
        found: str | None = read()
    except CellWrong:
        return None
    return found


@pytest.mark.parametrize(
    ("cells", "left"),
    [
        ({}, Left.OPEN),
        ({"state": "DUE "}, Left.OPEN),
        ({"state": ""}, Left.OPEN),
        ({"state": "paid"}, Left.PAID),
        ({"paidat": "2026-08-01"}, Left.PAID),
        ({"state": "voided", "paidat": "2026-08-01"}, Left.PAID),
        ({"state": "sent"}, Left.UNKNOWN),
        ({"state": "sent", "paidat": "2026-08-01"}, Left.PAID),
        ({"state": "voided"}, Left.CLOSED),
        ({"type": "custom"}, Left.NO_REFERRAL),
        ({"type": "custom", "state": "sent"}, Left.NO_REFERRAL),
        ({"type": "custom", "state": "paid"}, Left.PAID),
    ],
)
def test_what_any_column_says_was_paid_is_paid_and_what_none_names_is_unknown(
    cells: dict[str, str], left: Left
) -> None:
    assert standing_of(row(**cells), mapping()).left is left


def test_a_status_is_repeated_to_people_only_if_it_can_be_no_address() -> None:
    assert "'sent'" in standing_of(row(state="sent"), mapping()).why
    assert "brie" not in standing_of(row(state="brie@example.com"), mapping()).why


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ({}, {"referral", "order", "referee"}),
        ({"order": "o2", "customer": "cus_2", "email": "x@example.com"}, {"referral"}),
        ({"referral": "r2", "customer": "cus_2", "email": "x@example.com"}, {"order"}),
        ({"referral": "r2", "order": "o2", "email": "x@example.com"}, {"referee"}),
        ({"referral": "r2", "order": "o2", "customer": "", "email": "B.rie+x@Example.com"}, set()),
        ({"referral": "r2", "order": "o2", "customer": "", "email": "Brie+x@Example.com"}, {"referee"}),
        ({"referral": "r2", "order": "o2", "customer": "", "email": "", "otheremail": "brie@example.com"}, {"referee"}),
        ({"referral": "r2", "order": "o2", "customer": "cus_2", "email": "n/a"}, set()),
    ],
)
def test_rows_hang_together_by_referral_order_or_referee(other: dict[str, str], shared: set[str]) -> None:
    marker, cells = Marker(b"p" * 16), Cells(mapping())
    one, two = (set(keys_of(row(**each), cells, marker)) for each in ({}, other))
    assert {key.what for key in one & two} == shared


def test_a_row_becomes_its_facts_under_ids_of_its_own() -> None:
    came, bought = "2026-07-01T10:00:00+00:00", "2026-07-10T14:00:00+00:00"
    referee = {"customer": "cus_1", "email": "brie@example.com"}
    found = made(refunded="20.00", claimed="2026-07-02T10:00:00Z")
    assert found.problems == ()
    assert [(each["id"], each["type"], each["time"], each["data"]) for each in found.documents] == [
        (
            "row-1/enrolled",
            "referrer.enrolled",
            came,
            {"referrer": "mine-a1", "program": "acme", "email": "mira@example.com"},
        ),
        (
            "row-1/sent",
            "referral.sent",
            came,
            {
                "referral": "mine-r1",
                "program": "acme",
                "referrer": "mine-a1",
                "channel": "link",
                "referee": referee,
            },
        ),
        (
            "row-1/claimed",
            "referral.claimed",
            "2026-07-02T10:00:00+00:00",
            {"referral": "mine-r1", "channel": "link", "referee": referee},
        ),
        (
            "row-1/converted",
            "conversion.recorded",
            bought,
            {"order": "o1", "kind": "purchase", "amount": "80.00", "currency": "USD", "customer": referee},
        ),
        (
            "row-1/refunded",
            "conversion.reversed",
            bought,
            {"kind": "refund", "order": "o1", "amount": "20.00", "currency": "USD"},
        ),
    ]
    assert {each["source"] for each in found.documents} == {"import/mine"}
    assert made(refunded="20.00", claimed="2026-07-02T10:00:00Z") == found


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ({"order": ""}, ["enrolled", "sent", "claimed"]),
        ({}, ["enrolled", "sent", "claimed", "converted"]),
        ({"refunded": "0.00"}, ["enrolled", "sent", "claimed", "converted"]),
    ],
)
def test_only_what_happened_is_told(cells: dict[str, str], parts: list[str]) -> None:
    assert [each["id"].partition("/")[2] for each in made(**cells).documents] == parts


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"referral": ""}, "column referral: is empty"),
        ({"id": ""}, "column id: is empty: the row has no id of its own"),
        (
            {"customer": "", "email": ""},
            "column customer, email: is empty: the row names no referee, no order could match",
        ),
        ({"amount": ""}, "column amount: is empty"),  # it would count whatever the minimum is
        ({"bought": ""}, "column bought: is empty"),
        ({"currency": "dollars"}, "column currency: 'DOLLARS' is not an ISO 4217 currency code such as USD"),
        ({"amount": "-80.00"}, "column amount: an amount is not negative"),
        ({"came": "yesterday"}, "column came: is no time in ISO 8601, such as 2026-07-10T14:00:00Z; name its `format`"),
        ({"referrer": "mira@example.com"}, "column referrer: looks like an email address; ids stand in histories"),
        ({"referral": "brie@example.com"}, "column referral: looks like an email address; ids stand in histories"),
        ({"order": "brie@example.com"}, "column order: looks like an email address; ids stand in histories"),
        ({"id": "brie@example.com"}, "column id: looks like an email address"),
    ],
)
def test_a_row_that_can_not_be_told_whole_is_not_told_at_all(cells: dict[str, str], told: str) -> None:
    found = made(**cells)
    assert (found.documents, found.events) == ((), ())
    assert len(found.problems) == 1, found.problems
    assert str(found.problems[0]).startswith(told)
    assert "@example.com" not in str(found.problems)


def test_columns_are_found_however_they_are_spelled() -> None:
    assert len({folded(name) for name in ("Invoice ID", "invoiceId", "invoice_id", "invoice.id")}) == 1
    text = "ID;Type;State;Paid At;Referral;Referrer;Came;Customer\nx;sale;due;;r1;a1;2026-07-01;cus_1\n"
    its = mapping(MAPPING + 'separator: ";"\n')
    sheet = sheet_of(opened(b"\xef\xbb\xbf" + text.encode()), its)
    assert sheet.missing[:2] == ("referrer email", "claimed")
    (only,) = sheet.rows
    assert (only.number, only.text("paid_at"), only.text("came")) == (2, "", "2026-07-01")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "line 1: is no CSV header: it is empty"),
        ("id,type,state,referral,referrer,came,email", "line 1: column 'paid_at': is missing"),
        ("id,type,state,paid_at,referral,came,email", "line 1: column 'referrer': is missing"),
        ("id;type;state", "line 1: column 'id': is missing; the file is separated by another mark"),
        ("id,type,state,State,paid_at,referral,referrer,came", "line 1: column 'State': is there twice"),
    ],
)
def test_a_file_without_a_column_that_matters_is_refused(header: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        sheet_of(opened(header.encode() + b"\n"), mapping())
    assert str(refused.value.problems[0]).startswith(told)


def test_a_row_that_can_not_be_read_says_why_and_the_next_is_read() -> None:
    header = "id,type,state,paid_at,referral,referrer,came,email\n"
    text = header.encode() + b'a,b\n"x"y,\n\n\xff,,,,,,,\nx,sale,due,,r1,a1,2026-07-01,e@example.com\n'
    found = list(sheet_of(opened(text), mapping()).rows)
    assert [(each.number, each.unreadable.partition(":")[0]) for each in found] == [
        (2, "has 2 cells where the header has 8"),
        (3, "is not CSV"),
        (5, "is not UTF-8"),
        (6, ""),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tool: mine", "tool: Mine!", "tool: is a short name"),
        ("row: id", "rows: id", "row: is required"),
        ("row: id", "row: id\ndelimiter: x", "delimiter: is not a key of a mapping"),
        ("  order: order", "  orders: order", "facts.orders"),
        ("  referral: referral\n", "", "facts: referral missing"),
        ("  converted_at: bought\n", "", "facts: an order needs converted_at"),
        ("  amount: amount", "  amount: {column: amount, as: cents}", "facts.amount.as: "),
        ("  amount: amount", "  amount: {column: amount, value: x}", "facts.amount: needs a column"),
        ("paid: [paid]", "paid: [paid, DUE]", "status.0: names 'due' twice"),
        ("row: id", "row: id\ntime_zone: Mars", "time_zone: 'Mars' is not an IANA time zone"),
        ("row: id", "row: id\nrow: other", "row: is named twice"),
    ],
)
def test_a_mapping_is_checked_in_full(old: str, new: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        mapping(MAPPING.replace(old, new))
    assert any(str(each).startswith(told) for each in refused.value.problems), refused.value.problems


def test_a_mapping_that_can_not_say_what_was_paid_is_refused() -> None:
    text = MAPPING.replace(", paid: [paid]", "").replace(', paid: "*"', "")
    with pytest.raises(BadInput, match="no column tells what the tool paid"):
        mapping(text)


@pytest.mark.parametrize("tool", list(Tool))
def test_each_shipped_mapping_is_one_and_names_the_document_that_it_follows(tool: Tool) -> None:
    its = mapping(shipped(tool))
    assert its.tool == tool
    assert its.follows in shipped(tool).partition("tool:")[0]


@pytest.mark.parametrize(
    ("outcomes", "came_to"),
    [
        ([Outcome.RECORDED, Outcome.RECORDED], Became.IMPORTED),
        ([Outcome.REPEATED, Outcome.RECORDED], Became.IMPORTED),
        ([Outcome.REPEATED, Outcome.REPEATED], Became.REPEATED),
        ([Outcome.PARKED, Outcome.RECORDED], Became.PARKED),
        ([Outcome.RECORDED, Outcome.REFUSED], Became.REFUSED),
        ([Outcome.CONFLICT, Outcome.REFUSED], Became.CONFLICT),
    ],
)
def test_a_row_came_to_the_worst_of_its_facts(outcomes: list[Outcome], came_to: Became) -> None:
    assert became(outcomes) is came_to
