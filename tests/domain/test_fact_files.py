"""What a file of facts is, told by its first bytes, and documents that hold an array of them."""

import codecs
import io
import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts import json_array as reading
from referral_rewards.domain.facts.file_forms import FileForm, form_of
from referral_rewards.domain.facts.json_array import json_array
from referral_rewards.domain.facts.jsonl import decoded
from tests.desk import enrolment, life_of

EVENTS: list[dict[str, Any]] = [enrolment(), *life_of("r1")]
HEADING = "id,source,type,time,data.order\n"


@pytest.mark.parametrize(
    ("head", "suffix", "form"),
    [
        (b'{"id": 1}\n', ".jsonl", FileForm.LINES),
        (b'{"id": 1}\n', ".ndjson", FileForm.LINES),
        (b'{"id": 1}\n', "", FileForm.LINES),
        (b"\n  [\n", "", FileForm.ARRAY),
        (b"[{}]", ".jsonl", FileForm.ARRAY),
        (b"{}", ".json", FileForm.ARRAY),
        (HEADING.encode(), "", FileForm.CSV),
        (codecs.BOM_UTF8 + HEADING.encode(), ".csv", FileForm.CSV),
        (codecs.BOM_UTF8 + b"[", "", FileForm.ARRAY),
        (b"", ".jsonl", FileForm.LINES),
        (b'{"note": "one \xc3\xa9"}', ".jsonl", FileForm.LINES),
        (b"id,source,type,time,data.note;x\n", ".csv", FileForm.CSV),
    ],
)
def test_the_form_of_a_file(head: bytes, suffix: str, form: FileForm) -> None:
    assert form_of(head, "facts", suffix) is form


@pytest.mark.parametrize(
    ("head", "suffix", "told"),
    [
        (b"id;source;type;time\n", ".csv", "line 1: the columns are separated by semicolons; separate them by commas"),
        (b"id\tsource\ttype\ttime\n", ".csv", "line 1: the columns are separated by tabs; separate them by commas"),
        (HEADING.encode("utf-16"), ".csv", "is text in UTF-16; save it as UTF-8"),
        (HEADING.encode("utf-16-le"), ".csv", "is text in UTF-16; save it as UTF-8"),
        (HEADING.encode("utf-16-be"), "", "is text in UTF-16; save it as UTF-8"),
        (HEADING.encode("utf-32"), ".csv", "is text in UTF-32; save it as UTF-8"),
        (b"PK\x03\x04\x14\x00", ".csv", "is a workbook or another zip archive, not text; save the sheet as “CSV UTF-8"),
        (b"\x1f\x8b\x08", "", "is compressed; unpack it on the way: gunzip -c FILE | referrals ingest -"),
        (b"\x7fELF\x02\x01\x01" + b"\x00" * 3 + b"x" * 90, ".jsonl", "is a binary file, not text; JSON Lines"),
        (b"", ".txt", "ends in none of .jsonl, .ndjson, .json, .csv"),
        (b"", ".", "ends in none of .jsonl, .ndjson, .json, .csv"),
    ],
)
def test_what_holds_no_facts_is_told_in_one_line(head: bytes, suffix: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        form_of(head, "facts", suffix)
    (problem,) = refused.value.problems
    assert str(problem).startswith(f"facts: {told}")


def read(text: str | bytes) -> list[tuple[int, str | None, list[str]]]:
    raw = text if isinstance(text, bytes) else text.encode()
    lines = json_array(io.BytesIO(raw))
    return [(each.number, each.event and each.event.event_id, [str(p) for p in each.problems]) for each in lines]


@given(indent=st.sampled_from([None, 0, 2]), piece=st.integers(1, 400), array=st.booleans(), mark=st.booleans())
def test_an_array_is_read_the_same_however_it_is_cut(indent: int | None, piece: int, array: bool, mark: bool) -> None:
    whole = (
        json.dumps(EVENTS, indent=indent) if array else "\n".join(json.dumps(each, indent=indent) for each in EVENTS)
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "_PIECE_BYTES", piece)
        found = read((codecs.BOM_UTF8 if mark else b"") + whole.encode())
    assert found == [(at, each["id"], []) for at, each in enumerate(EVENTS, start=1)]


@pytest.mark.parametrize(
    ("text", "numbers", "last"),
    [
        ("[]", [], ""),
        ("", [], ""),
        ("[5, [], null]", [1, 2, 3], "a fact is a JSON object (CloudEvents 1.0)"),
        ("[5,", [1, 2], "is not JSON: expecting value; nothing from here on was read"),
        ("[5", [1, 2], "is not JSON: a comma between two events is missing; nothing from here on was read"),
        ("[5 6]", [1, 2], "is not JSON: a comma between two events is missing; nothing from here on was read"),
        ("[5] 6", [1, 1], "is not JSON: there is more after the end of the array; nothing from here on was read"),
        (b'["\xff"]', [1], "is not UTF-8; nothing from here on was read"),
        ('["' + "x" * 1_200_000 + '"', [1], "is not JSON: an event is broken, or longer than 1,000,000 characters"),
    ],
)
def test_a_broken_array_is_told_with_the_event_where_it_breaks(
    text: str | bytes, numbers: list[int], last: str
) -> None:
    found = read(text)
    assert [number for number, _, _ in found] == numbers
    assert not found or found[-1][2][0].startswith(last)


#: Where readers of JSON differ: what is out of range, nested deeply, written twice, escaped, cut off or no UTF-8.
HARD_TO_READ: Final = [
    *(b"NaN", b"[-Infinity]", b"1e400", b"-0", b"-0.0", b"1E5", b"9007199254740993.0", b"12345678901234567890.125"),
    *(b"4.9e-324", b"1e23", b"18446744073709551616", b"9" * 4000, b"9" * 4400, b"01", b"1.", b"+1", b"-NaN"),
    *(b'"\\ud83d\\ude00"', b'"\\ud800"', b'"\\u0000"', b'"\x01"', b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1"),
    *(
        b'{"a":1,"b":3,"a":2}',
        b"[1,]",
        b'{"a":1,}',
        b"1 2",
        b"\x0c1",
        b"",
        b"nul",
        b"[" * 250 + b"]" * 250,
        b"[" * 100_000,
    ),
]


def _as_python_reads(text: bytes) -> str:
    try:
        return ascii(json.loads(text.decode()))
    except (ValueError, RecursionError) as error:
        return ascii(error)


def _as_we_read(text: bytes) -> str:
    try:
        return ascii(decoded(text))
    except (ValueError, RecursionError) as error:
        return ascii(error)


@pytest.mark.parametrize("text", HARD_TO_READ, ids=lambda text: ascii(text[:20]))
def test_json_is_read_and_refused_as_python_does(text: bytes) -> None:
    assert _as_we_read(text) == _as_python_reads(text)


_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=_JSON, is_ascii=st.booleans())
def test_any_json_is_read_as_python_does(value: Any, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    assert _as_we_read(text) == _as_python_reads(text)
