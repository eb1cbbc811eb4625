"""`referrals set-aside`: what no decision ends leaves the queue with a note."""

import json
from pathlib import Path
from typing import Final

from tests.cli.conftest import Shell

_SENT: Final = {
    "specversion": "1.0",
    "id": "1",
    "source": "shop",
    "type": "referral.sent",
    "time": "2026-06-01T10:00:00Z",
    "data": {"referral": "r1", "program": "acme-frends", "referrer": "dexter", "channel": "email"},
}


def test_what_no_decision_ends_is_listed_and_set_aside(shell: Shell, tmp_path: Path) -> None:
    shell.publish()
    shell("user", "add", "oscar", "--role", "operations")
    shell.confirm("oscar")
    file = tmp_path / "facts.jsonl"
    file.write_text(json.dumps(_SENT))
    shell("ingest", str(file))
    listed = shell("queue", "--exception", "parked").out
    assert "program acme-frends" in listed
    assert "1 referral waits for terms of “acme-frends”; the first began on 2026-06-01" in listed
    assert "did you mean 'acme-friends'?" in listed

    nothing = shell("set-aside", "parked", "acme", "--note", "sent again", "--as", "oscar")
    assert (nothing.code, len(nothing.problems)) == (2, 1)
    assert "nothing of the kind parked waits under acme" in nothing.problems[0]
    unsaid = shell("set-aside", "parked", "acme-frends", "--note", " ", "--as", "oscar")
    assert (unsaid.code, len(unsaid.problems)) == (2, 1)

    done = shell("set-aside", "parked", "acme-frends", "--note", "sent again", "--as", "oscar")
    assert (done.code, done.out) == (0, "parked facts acme-frends: set aside\n")
    assert json.loads(shell("queue", "--json").out) == []
