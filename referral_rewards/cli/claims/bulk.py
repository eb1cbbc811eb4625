"""Deciding on many claims with one command: each gets a decision of its own, against what was seen of it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import say, tell
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.cli.term_files import read_text
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.claims.decision_kinds import TOGETHER_MAX, DecisionKind
from referral_rewards.domain.errors import BadInput, Problem

#: A claim and the digest that was seen of it; None: as it stands now.
Seen = tuple[str, str | None]


def chosen_from(path: Path) -> list[Seen]:
    """The claims of a file that `queue --json` wrote, with the digests that it showed.

    Raises:
        BadInput: if it can't be read, or holds anything else.
    """
    try:
        entries = json.loads(read_text(path))
        chosen: list[Seen] = [
            (str(each["referral"]), str(each["approval"]["digest"]))
            for each in entries
            if each["exception"] == "approval"
        ]
    except (ValueError, LookupError, TypeError):
        raise BadInput([Problem(str(path), "is not what `referrals queue --json` prints")]) from None
    if not chosen:
        raise BadInput([Problem(str(path), "holds no claim that waits for its approvers")])
    return chosen


def decide_together(
    data: Path | None,
    kind: DecisionKind,
    chosen: Sequence[Seen] | Sequence[str],
    reason: str,
    note: str,
    user: str | None,
) -> int:
    """Decides on all of them and says what became of each; the exit code tells whether one was left out."""
    claims: list[Seen] = [each if isinstance(each, tuple) else (each, None) for each in chosen]
    left_out = 0
    with api_of(data, user, Purpose.DECIDE) as api:
        for some in _portions(claims):
            asked = [
                {"referral": referral, "digest": _shown(api, referral) if digest is None else digest}
                for referral, digest in some
            ]
            decisions = {"kind": kind, "reason": reason, "note": note, "claims": asked}
            made = api.post("/v1/claims/decisions", decisions, timeout=600)
            left_out += made["left_out"]
            for each in made["outcomes"]:
                _say(kind, each)
    return FOUND_PROBLEMS if left_out else DONE


def _shown(api: Api, referral: str) -> str:
    """The digest of a claim as it stands now, or nothing's: the API then says what is in the way."""
    response = api.client.get(f"/v1/claims/{quote(referral, safe='')}")
    return (api.answer(response)["digest"] or "") if response.status_code != 404 else ""


def _portions(claims: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
    for first in range(0, len(claims), TOGETHER_MAX):
        yield claims[first : first + TOGETHER_MAX]


def _say(kind: DecisionKind, outcome: dict[str, Any]) -> None:
    if outcome["outcome"] == "left_out":
        problem = outcome["problem"]
        tell(f"{outcome['referral']}: left out ({problem['rule']}): {problem['detail']}")
        return
    again = " before" if outcome["outcome"] == "repeated" else ""
    say(f"{outcome['referral']}: {kind} was recorded{again} as decision {outcome['seq']}")
