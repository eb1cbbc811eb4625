"""The signed report: an outsider checks it with one published key and a script of a page, without our database."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.api.auditing import sent
from referral_rewards.audit import page
from referral_rewards.audit.findings import Part
from referral_rewards.audit.words import KINDS, WORDS
from referral_rewards.domain.labels.vocabularies import VOCABULARIES
from tests.audit.flipping import Flip, rows_of
from tests.audit.paid import ACME, lived
from tests.desk import Desk, desk_after
from tests.snapshots import Snapshots

ROOT = Path(__file__).parents[2]
_SCRIPT = ROOT / "docs" / "guides" / "verify_audit.py"


@pytest.fixture
async def paid(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as opened:
        yield opened


async def reported(desk: Desk, folder: Path, as_: str = "fiona", **asked: str) -> Path:
    """The file with the report, as the API sends it."""
    answer = await desk.api.get(f"/v1/reports/audit/{ACME}", params=asked, headers=desk.bearer(as_))
    assert answer.status_code == 200, answer.text
    path = folder / "audit.json"
    path.write_bytes(answer.content)
    (folder / "verify.json").write_text(json.dumps([desk.parts.signer.public_entry()]))
    return path


def verified(report: Path, *evidence: Path) -> tuple[int, str]:
    """What the script for outside auditors says of a report, with nothing but it, the key and Python."""
    key = report.parent / "verify.json"
    command = [sys.executable, "-I", str(_SCRIPT), str(report), "--key", str(key), "--evidence", *map(str, evidence)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_a_report_names_every_paid_reward_and_verifies_outside(paid: Desk, tmp_path: Path) -> None:
    report = await reported(paid, tmp_path)
    document = json.loads(report.read_text())
    rewards = {(each["referral"], each["role"]) for each in document["rewards"]}
    assert rewards == {(f"r{n}", role) for n in (1, 2, 3, 4) for role in ("referrer", "referee")}
    assert document["statement"]["findings"]["count"] == 0
    assert document["statement"]["accuracy"] == {"paid": 8, "accurate": 8, "by_override": 0, "marks_removed": 0}
    code, said = verified(report)
    assert (code, said.splitlines()[-1]) == (0, "The report is signed, whole, and adds up.")


async def test_totals_are_by_kind_and_say_what_was_taken_back(paid: Desk, tmp_path: Path) -> None:
    totals = json.loads((await reported(paid, tmp_path)).read_text())["statement"]["totals"]
    assert [(each["kind"], each["rewards"], each["amount_minor"], each["taken_back_minor"]) for each in totals] == [
        ("cash", 3, 7500, 2000),
        ("credit", 5, 5700, 800),
    ]


def _changed_reward(document: Any) -> None:
    document["rewards"][0]["amount_minor"] += 1


def _left_out_reward(document: Any) -> None:
    del document["rewards"][0]


def _changed_statement(document: Any) -> None:
    document["statement"]["findings"]["count"] = 7


def _changed_total(document: Any) -> None:
    document["statement"]["totals"][0]["amount_minor"] = 1


def _other_approver(document: Any) -> None:
    document["rewards"][0]["approvals"][0]["signed"]["user"] = "mallory"


def _other_key(document: Any) -> None:
    document["signature"]["key_id"] = "0" * 16


def _unsigned_section(document: Any) -> None:
    document["summary"] = "Nothing was found."


def _unsigned_note(document: Any) -> None:
    document["signature"]["note"] = "0" * 64


def _other_format(document: Any) -> None:
    document["format"] = "referral-rewards-audit/2"


def _other_algorithm(document: Any) -> None:
    document["signature"]["algorithm"] = "none"


@pytest.mark.parametrize(
    "change",
    [
        _changed_reward,
        _left_out_reward,
        _changed_statement,
        _changed_total,
        _other_approver,
        _other_key,
        _unsigned_section,
        _unsigned_note,
        _other_format,
        _other_algorithm,
    ],
    ids=lambda change: change.__name__.strip("_"),
)
@pytest.mark.suite_has(3)
async def test_a_changed_report_does_not_verify(paid: Desk, tmp_path: Path, change: Any) -> None:
    report = await reported(paid, tmp_path)
    document = json.loads(report.read_text())
    change(document)
    report.write_text(json.dumps(document))
    code, said = verified(report)
    assert (code, said.splitlines()[-1]) == (1, "The report does not hold.")


async def test_a_name_that_stands_twice_in_a_report_is_refused(paid: Desk, tmp_path: Path) -> None:
    report = await reported(paid, tmp_path)
    written = report.read_text()
    report.write_text(written.replace('"findings":', '"findings":[{"what":"all is well"}],"findings":', 1))
    assert verified(report) == (2, "can't be read: ValueError: a name stands twice in the report\n")


async def test_a_report_verifies_however_it_is_laid_out_and_holds_nothing_behind_its_end(
    paid: Desk, tmp_path: Path
) -> None:
    report = await reported(paid, tmp_path)
    document = json.loads(report.read_text())
    for written in (json.dumps(document), json.dumps(document, indent=2)):
        report.write_text(written)
        assert verified(report)[0] == 0
    report.write_text(json.dumps(document) + "{}")
    assert verified(report) == (2, "can't be read: ValueError: something stands after the report\n")


async def test_the_terms_as_published_are_evidence_that_a_report_names(paid: Desk, tmp_path: Path) -> None:
    report = await reported(paid, tmp_path)
    terms, other = tmp_path / "terms.yaml", tmp_path / "other.yaml"
    async with paid.database.reading() as connection:
        source = await connection.execute(text("SELECT source FROM program_version WHERE version = 2"))
        terms.write_text(source.scalar_one())
    other.write_text(terms.read_text() + "\n")
    assert verified(report, terms)[0] == 0
    assert verified(report, other)[0] == 1


async def test_what_cannot_be_read_is_bad_input_to_the_script(paid: Desk, tmp_path: Path) -> None:
    report = await reported(paid, tmp_path)
    report.write_text("{")
    assert verified(report)[0] == 2


async def test_a_report_of_one_cycle_or_of_a_span_has_only_what_these_paid(paid: Desk, tmp_path: Path) -> None:
    async with paid.database.reading() as connection:
        due = (await connection.execute(text("SELECT due_on FROM payout_cycle"))).scalar_one()
    of_cycle = json.loads((await reported(paid, tmp_path, cycle=str(due))).read_text())
    assert {each["referral"] for each in of_cycle["rewards"]} == {"r4"}
    long_ago = json.loads((await reported(paid, tmp_path, **{"from": "2020-01-01", "to": "2020-02-01"})).read_text())
    assert (long_ago["rewards"], long_ago["statement"]["findings"]["count"]) == ([], 0)


async def test_a_flipped_row_is_told_in_the_report_and_on_the_page(paid: Desk, tmp_path: Path) -> None:
    (row, *_) = await rows_of(paid.database, "leg", "referral_id = 'r2' AND role = 'referrer'")
    await _change(paid, Flip("leg", "amount_minor", None, "2600"), row)
    report = await reported(paid, tmp_path)
    document = json.loads(report.read_text())
    (wrong,) = [each for each in document["rewards"] if (each["referral"], each["role"]) == ("r2", "referrer")]
    assert {each["part"] for each in wrong["findings"]} >= {Part.LEDGER, Part.PROVIDER_RECEIPT, Part.DECISION_CHAIN}
    assert verified(report)[0] == 0
    shown = "".join(page.written(report))
    assert "it sends 25.00 USD; its rewards less what lowers them come to 26.00 USD" in shown
    assert WORDS[Part.LEDGER].to_do in shown


async def test_the_page_needs_nothing_else_and_shows_what_was_signed(paid: Desk, tmp_path: Path) -> None:
    report = await reported(paid, tmp_path)
    document = json.loads(report.read_text())
    shown = "".join(page.written(report))
    assert "Nothing was found" in shown
    assert "<td>account credit</td>" in shown
    assert all(reward["payment"]["reference"] in shown for reward in document["rewards"])
    assert document["signature"]["signature"] in shown
    assert [each for each in ("<script", "<link", "src=", "http://", "https://") if each in shown] == []
    answer = await paid.api.get(f"/v1/reports/audit/{ACME}", params={"format": "html"}, headers=paid.bearer("fiona"))
    assert answer.headers["content-type"].startswith("text/html")
    assert "Audit of the rewards of acme-friends" in answer.text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "paid so far a second time"),
        ({"from": "2026-01-01"}, "paid from 2026-01-01, by the program's calendar, a second time"),
        ({"to": "2027-01-01"}, "paid to before 2027-01-01, by the program's calendar, a second time"),
        (
            {"from": "2026-01-01", "to": "2027-01-01"},
            "paid from 2026-01-01 to before 2027-01-01, by the program's calendar, a second time",
        ),
    ],
)
async def test_the_page_names_the_days_that_were_asked_for(
    paid: Desk, tmp_path: Path, asked: dict[str, str], said: str
) -> None:
    report = await reported(paid, tmp_path, **asked)
    assert said in " ".join("".join(page.written(report)).split())


def test_kinds_of_rewards_are_called_as_everywhere() -> None:
    assert VOCABULARIES["kind"] == KINDS


def test_a_part_is_called_by_its_code_in_words() -> None:
    for part, words in WORDS.items():
        assert words.name == part.value.replace("_", " ").replace("fraud ", "fraud and ").capitalize(), part
        if part.value in VOCABULARIES["six_parts"]:
            assert words.name.casefold() == VOCABULARIES["six_parts"][part.value]


async def test_only_those_who_may_read_the_books_audit(paid: Desk) -> None:
    for person, status in (("fiona", 200), ("ada", 200), ("paula", 403), ("oscar", 403)):
        answer = await paid.api.get(f"/v1/reports/audit/{ACME}", headers=paid.bearer(person))
        assert answer.status_code == status, person


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"from": "2026-02-01", "to": "2026-01-01"}, 422),
        ({"cycle": "2026-02-01", "from": "2026-01-01"}, 422),
        ({"cycle": "1999-01-01"}, 404),
        ({"sort": "x"}, 422),
    ],
)
async def test_what_cannot_be_audited_is_refused(desk: Desk, asked: dict[str, str], status: int) -> None:
    answer = await desk.api.get(f"/v1/reports/audit/{ACME}", params=asked, headers=desk.bearer("fiona"))
    assert answer.status_code == status, answer.text


async def test_an_unknown_program_is_not_found(desk: Desk) -> None:
    answer = await desk.api.get("/v1/reports/audit/acme-frends", headers=desk.bearer("fiona"))
    assert (answer.status_code, "acme-friends" in answer.text) == (404, True)


async def _change(desk: Desk, flip: Flip, row: str) -> None:
    async with desk.database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        change = f"UPDATE {flip.table} SET {flip.column} = {flip.value} WHERE ctid = CAST(:row AS tid)"
        await connection.execute(text(change), {"row": row})


async def test_a_long_audit_is_not_taken_for_a_dead_one(tmp_path: Path) -> None:
    made, path = asyncio.Event(), tmp_path / "audit.json"

    async def making() -> Path:
        await made.wait()
        path.write_text('{"n": 1}')
        return path

    pieces = sent(making(), lambda file: file.read_text().splitlines(), quiet=0)
    waited = await anext(pieces)
    made.set()
    answer = waited + "".join([piece async for piece in pieces])
    assert (waited, json.loads(answer), path.exists()) == ("\n", {"n": 1}, False)
