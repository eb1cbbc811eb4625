"""Files of facts: what lands, what is told, and what a second time changes."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.cli.conftest import Shell
from tests.desk import days_ago, enrolment, life_of
from tests.personal import bodies

EXAMPLE = Path(__file__).parents[2] / "examples" / "dexter-and-brie.jsonl"


def lines(*events: Any) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def as_csv(events: list[dict[str, Any]]) -> str:
    """The events as rows, with a column for every field that some event has."""
    rows = [_flat(event) for event in events]
    columns = list(dict.fromkeys(column for row in rows for column in row if column != "specversion"))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(value: dict[str, Any], path: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, each in value.items():
        if isinstance(each, dict):
            flat |= _flat(each, f"{path}{name}.")
        else:
            flat[path + name] = json.dumps(each) if isinstance(each, bool | int) else each
    return flat


def test_a_file_is_taken_in_and_a_second_time_changes_nothing(shell: Shell) -> None:
    shell.publish()
    first, second = shell("ingest", EXAMPLE), shell("ingest", EXAMPLE)
    assert (first.code, first.out) == (0, "25 recorded, 0 repeated, 0 refused, 0 in conflict\n")
    assert (second.code, second.out) == (0, "0 recorded, 25 repeated, 0 refused, 0 in conflict\n")
    assert shell.ask("SELECT count(*) FROM outbox WHERE batch_id IS NOT NULL") == [(0,)]
    assert shell.ask("SELECT count(*), count(finished_at) FROM ingest_batch") == [(1, 1)]


def test_rows_say_the_same_as_lines(shell: Shell) -> None:
    """A fact is a repeat only if its whole payload is the same, so that types and nesting came out right."""
    shell.publish()
    events = [enrolment(), *life_of("r1")]
    rated = {**events[1], "id": "r1-4", "type": "satisfaction.rated", "data": {"referral": "r1", "score": 5}}
    shell("ingest", shell.file("facts.jsonl", lines(*events, rated)))
    again = shell("ingest", shell.file("facts.csv", as_csv([*events, rated])))
    assert (again.code, again.out) == (0, "0 recorded, 5 repeated, 0 refused, 0 in conflict\n")


def test_bad_lines_are_told_by_number_and_the_good_ones_land(shell: Shell) -> None:
    sent, claimed, bought = life_of("r1")
    bad_amount = {**bought, "data": {**bought["data"], "amount": "80.001"}}
    ahead = {**claimed, "id": "ahead", "time": days_ago(-1).isoformat()}
    content = lines(sent).encode() + b"\n{\n" + lines(bad_amount, 7, ahead).encode() + b'"\xff"\n' + b"x" * 1_000_001
    ran = shell("ingest", shell.file("facts.jsonl", content + b"\n" + lines(claimed).encode()))
    assert (ran.code, ran.out) == (
        1,
        "2 recorded, 0 repeated, 6 refused, 0 in conflict, 1 referral parked (no_terms_in_force), 1 warning\n",
    )
    assert ran.problems == [
        "line 3: is not JSON: expecting property name enclosed in double quotes",
        "line 4: data.amount: 80.001 has more decimals than USD has",
        "line 5: a fact is a JSON object (CloudEvents 1.0)",
        "line 6: time: is more than five minutes ahead of our clock",
        "line 7: is not UTF-8",
        "line 8: is longer than 1,000,000 bytes",
        "warning (unknown program), line 1: data.program: 'acme-friends' is not published; the fact waits until it is",
    ]


def test_warnings_are_told_by_kind_with_their_first_lines_and_their_number(shell: Shell) -> None:
    shell.publish()
    told = [life_of(f"r{number}")[0] for number in range(8)]
    for sent in told[1:]:
        sent["data"]["referee"]["phone"] = "416 555 0173"
    told[0]["data"]["refferal"] = "r0"
    for sent in told[:2]:
        sent["data"]["program"] = "acme-freinds"
    ran = shell("ingest", shell.file("facts.jsonl", lines(*told)))
    assert (ran.code, ran.out) == (
        0,
        "8 recorded, 0 repeated, 0 refused, 0 in conflict, 2 referrals parked (no_terms_in_force), 10 warnings\n",
    )
    assert ran.problems == [
        "warning (unknown program), lines 1 and 2: data.program: 'acme-freinds' is not published; the fact waits until"
        " it is; did you mean 'acme-friends'?",
        "warning (phone number), lines 2, 3, 4, 5, 6 and 2 more: data.referee.phone: names no country, and no region is"
        " set for its source: it matches no order; write it as +14165550173, or set REFERRALS_REGION or"
        " REFERRALS_REGIONS",
        "warning (unknown field), line 1: data.refferal: is no field of referral.sent and changes nothing; did you mean"
        " 'referral'?",
    ]


def test_a_dry_run_warns_of_what_a_fact_shows_by_itself(shell: Shell) -> None:
    sent = life_of("r1")[0]
    sent["data"]["refferal"] = "r1"
    ran = shell("ingest", "--dry-run", shell.file("facts.json", json.dumps([sent])))
    assert (ran.code, ran.out) == (0, "1 can be taken in, 0 can't; nothing was stored\n")
    assert [each.partition(":")[0] for each in ran.problems] == ["warning (unknown field), event 1"]


def test_bad_rows_are_told_by_the_line_they_begin_on(shell: Shell) -> None:
    good = '1,test,satisfaction.rated,2026-01-01T00:00:00Z,r1,5,"two\nlines",\n'
    both = "5,test,satisfaction.rated,2026-01-01T00:00:00Z,r1,5,one,two\n"
    rows = good + "2,test,satisfaction.rated,2026-01-01T00:00:00Z,r1,nine,,\n" + "3,test,x\n" + both
    header = "id,source,type,time,data.referral,data.score,data.note,data.note.more\n"
    ran = shell("ingest", shell.file("facts.csv", (header + rows).encode() + b"4,test,\xff,x,r1,,,\n"))
    assert (ran.code, ran.out.partition(",")[0]) == (1, "1 recorded")
    assert [problem.partition(": ")[0] for problem in ran.problems] == ["line 4", "line 5", "line 6", "line 7"]
    assert ran.problems[1:] == [
        "line 5: has 3 cells where the header has 8",
        "line 6: data.note.more: is a value and, by another column, a group of them",
        "line 7: type: is not UTF-8",
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("facts.txt", "", "ends in none of .jsonl, .ndjson, .json, .csv"),
        ("facts.csv", "", "line 1: is no CSV header: it is empty"),
        ("facts.csv", "id,source,type\n", "line 1: column time: is missing"),
        ("facts.csv", "id,source,type,time,time\n", "line 1: column time: is there twice"),
        (
            "facts.csv",
            "id,source,type,time,order\n",
            "line 1: column 'order': is none of id, source, type, time, data.…",
        ),
    ],
)
def test_a_file_of_another_form_is_refused_with_one_line(shell: Shell, name: str, content: str, told: str) -> None:
    ran = shell("ingest", shell.file(name, content))
    assert (ran.code, len(ran.problems)) == (2, 1)
    assert told in ran.problems[0]


def test_an_array_and_standard_input_say_the_same_as_lines(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.publish()
    events = [json.loads(line) for line in EXAMPLE.read_text().splitlines()]
    first = shell("ingest", shell.file("facts.json", json.dumps(events, indent=1)))
    assert (first.code, first.out) == (0, "25 recorded, 0 repeated, 0 refused, 0 in conflict\n")
    with EXAMPLE.open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        second = shell("ingest", "-")
    assert (second.code, second.out) == (0, "0 recorded, 25 repeated, 0 refused, 0 in conflict\n")


def test_a_dry_run_tells_every_line_and_stores_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, claimed, bought = life_of("r1")
    ahead = {**claimed, "time": days_ago(-1).isoformat()}
    wrong = {**bought, "data": {**bought["data"], "amount": 80.0}}
    told = [
        "2: time: is more than five minutes ahead of our clock",
        '3: data.amount: 80.00 is a number; write it as text: "80.00"',
    ]
    checked = shell("ingest", "--dry-run", shell.file("facts.jsonl", lines(sent, ahead, wrong)))
    assert (checked.code, checked.out) == (1, "1 can be taken in, 2 can't; nothing was stored\n")
    assert checked.problems == [f"line {each}" for each in told]
    listed = shell("ingest", "--dry-run", shell.file("facts.json", json.dumps([sent, ahead, wrong])))
    assert listed.problems == [f"event {each}" for each in told]
    assert shell.ask("SELECT count(*) FROM fact") == [(0,)]
    monkeypatch.setenv("REFERRALS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert shell("ingest", "--dry-run", EXAMPLE).out == "25 can be taken in, 0 can't; nothing was stored\n"


def test_a_sheet_that_a_spreadsheet_saved_is_told_what_would_be_right(shell: Shell) -> None:
    heading = "id,source,type,time,data.referral,data.score\n"
    row = "1,test,satisfaction.rated,15.07.2026 10:00,r1,5\n"
    ran = shell("ingest", shell.file("facts.csv", b"\xef\xbb\xbf" + (heading + row).encode()))
    (problem,) = ran.problems
    assert ran.code == 1
    assert problem.startswith("line 2: time: '15.07.2026 10:00' is written as spreadsheets do; write year-month-day")
    for content in (heading.replace(",", ";").encode(), heading.encode("utf-16"), b"PK\x03\x04"):
        ran = shell("ingest", shell.file("facts.csv", content))
        assert (ran.code, len(ran.problems)) == (2, 1)


def test_a_file_that_is_not_there_is_told(shell: Shell) -> None:
    ran = shell("ingest", "nowhere.jsonl")
    assert (ran.code, ran.err) == (2, "nowhere.jsonl: no such file or directory\n")


def test_a_conflict_is_told_and_stores_nothing_of_it(shell: Shell) -> None:
    shell.publish()
    sent, claimed, _ = life_of("r1")
    other = {**sent, "data": {**sent["data"], "channel": "social"}}
    ran = shell("ingest", shell.file("facts.jsonl", lines(sent, other, claimed)))
    assert (ran.code, ran.out) == (1, "2 recorded, 0 repeated, 0 refused, 1 in conflict\n")
    assert ran.problems == ["line 2: fact (test, r1-1) was recorded before with another payload; send it with a new id"]
    assert shell.ask("SELECT data->>'channel' FROM fact WHERE event_id = 'r1-1'") == [("email",)]


@pytest.mark.parametrize("wrong", ["malformed", "conflicting in the file", "conflicting with the register"])
def test_strict_stores_all_of_a_file_or_nothing(shell: Shell, wrong: str) -> None:
    sent, claimed, bought = life_of("r1")
    other = {**sent, "data": {**sent["data"], "channel": "social"}}
    if wrong == "conflicting with the register":
        shell("ingest", shell.file("before.jsonl", lines(other)))
    before = shell.ask("SELECT count(*) FROM fact")
    told = {"malformed": [sent, {}, claimed], "conflicting in the file": [sent, claimed, other]}
    refused = shell("ingest", shell.file("facts.jsonl", lines(*told.get(wrong, [claimed, sent]))), "--strict")
    assert refused.code == 2
    assert refused.problems[-1] == f"nothing of {shell.folder / 'facts.jsonl'} was stored"
    assert shell.ask("SELECT count(*) FROM fact") == before
    assert shell("ingest", shell.file("good.jsonl", lines(bought)), "--strict").code == 0
    assert shell.ask("SELECT count(*) FROM outbox WHERE batch_id IS NOT NULL") == [(0,)]


def test_an_interrupted_file_goes_on_where_it_stopped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here by then is stored. Its wake-ups are held back until its last line is in, however often it takes."""
    shell.publish()
    monkeypatch.setattr("referral_rewards.register.facts.file_intake.BATCH_LINES", 2)
    file = shell.file("facts.jsonl", lines(enrolment(), *life_of("r1")))

    def interrupted(opened: BinaryIO, progress: object) -> Iterator[bytes]:
        yield opened.readline() + opened.readline()
        while shell.ask("SELECT count(*) FROM fact") != [(2,)]:
            pass  # asking takes its time
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("referral_rewards.cli.facts.ingest._pieces", interrupted)
        ran = shell("ingest", file)
    assert (ran.code, ran.problems) == (
        130,
        ["interrupted; what is stored stays, ingest the same file again to go on"],
    )
    assert shell.ask("SELECT count(*), count(batch_id) FROM outbox") == [(1, 1)]
    assert shell("ingest", file).out == "2 recorded, 2 repeated, 0 refused, 0 in conflict\n"
    assert shell.ask("SELECT count(batch_id) FROM outbox") == [(0,)]
    assert shell.ask("SELECT count(*) FROM ingest_batch") == [(1,)]


def test_waiting_ends_when_nothing_moves_by_itself(shell: Shell) -> None:
    shell.publish()
    shell("ingest", EXAMPLE)
    shell.judge_all()
    assert shell("ingest", EXAMPLE, "--wait").code == 0


def test_what_was_said_of_whom_is_kept_apart(shell: Shell) -> None:
    shell("ingest", EXAMPLE)
    assert shell.ask("SELECT count(*) FROM fact WHERE fact::text LIKE '%example.com%'") == [(0,)]
    assert sum("example.com" in str(body) for body in shell.with_database(bodies)) == 25 - 1
