"""`referrals approve|deny|hold|…`: decisions, made through the API with one's own token."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from referral_rewards.cli.console import Data, database, keys_of, people_needed, say, settings, tell
from referral_rewards.cli.credentials import Access
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.domain.approval import REASON_CODES, DecisionKind
from referral_rewards.domain.errors import BadInput, DecisionRefused, Problem, ReferralRewardsError, RequestInvalid
from referral_rewards.domain.money import display
from referral_rewards.register import decisions

if TYPE_CHECKING:
    import httpx

_DIGITS_SHOWN = 12

record = typer.Typer(help="The record of decisions.", no_args_is_help=True)

_SAYS = {
    DecisionKind.APPROVE: "Approve a claim as it was shown.",
    DecisionKind.DENY: "Deny a claim.",
    DecisionKind.HOLD: "Hold a claim back until it is released.",
    DecisionKind.RELEASE: "Release a claim that was held.",
    DecisionKind.REQUEST_EVIDENCE: "Ask for more evidence; the claim goes on waiting.",
    DecisionKind.REASSIGN: "Move a claim to the referrer that `attribution.changed` names; it then asks for approval.",
    DecisionKind.REOPEN: "Reopen a referral that was closed: a fresh claim that admits late facts.",
}

Referral = Annotated[str, typer.Argument(metavar="REFERRAL")]
Reason = Annotated[str, typer.Option("--reason", metavar="CODE", help="Why, as a code.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, in words.")]
As = Annotated[str, typer.Option("--as", metavar="USER", help="Whose stored credential to use: one's own.")]
Digest = Annotated[
    str | None, typer.Option("--digest", help="The claim that was looked at, as `show` names it; else the current one.")
]


def commands() -> list[tuple[str, Callable[..., None]]]:
    """A command for each kind of decision, with its name."""
    return [(kind.replace("_", "-"), _command(kind)) for kind in DecisionKind]


def _command(kind: DecisionKind) -> Callable[..., None]:
    def decide(
        referral: Referral, reason: Reason, note: Note, user: As, digest: Digest = None, data: Data = None
    ) -> None:
        if reason not in REASON_CODES[kind]:
            raise RequestInvalid(f"{reason!r} is none of {', '.join(REASON_CODES[kind])}", "--reason")
        _decide(Access.load(data), kind, referral, reason, note, user, digest)

    decide.__doc__ = f"{_SAYS[kind]} Reasons: {', '.join(REASON_CODES[kind])}."
    return decide


def _decide(
    access: Access, kind: DecisionKind, referral: str, reason: str, note: str, user: str, digest: str | None
) -> None:
    with _api(access, user) as api:
        claim = f"/v1/claims/{quote(referral, safe='')}"
        shown = _answer(api.get(claim))
        if shown["digest"] is None:
            raise DecisionRefused(referral, "no_claim", f"it is {shown['status']}: there is no claim to decide")
        tell(_in_brief(shown))
        looked_at = shown["digest"] if _is_start_of(digest, shown["digest"]) else digest
        decision = {"kind": kind, "reason": reason, "note": note, "digest": looked_at}
        made = _answer(api.post(f"{claim}/decisions", json=decision))
    by = f"{made['user']} ({', '.join(made['roles'])})"
    again = " before" if made["repeated"] else ""
    say(f"{referral}: {kind} by {by} was recorded{again} as decision {made['seq']}")


def _is_start_of(given: str | None, digest: str) -> bool:
    """Whether the digest is the one that was looked at: none given, or as many of its digits as are shown."""
    return given is None or (len(given) >= _DIGITS_SHOWN and digest.startswith(given))


@contextmanager
def _api(access: Access, user: str) -> Iterator["httpx.Client"]:
    """The API, with the user's token.

    Raises:
        ReferralRewardsError: if it does not answer.
    """
    import httpx  # here, as few commands need it

    url = access.url()
    headers = {"Authorization": f"Bearer {access.token_of(user)}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=30) as api:
            yield api
    except httpx.HTTPError as error:
        told = f"the API at {url} does not answer ({str(error) or type(error).__name__})"
        raise ReferralRewardsError(f"{told}; is it running?") from None


def _in_brief(shown: dict[str, Any]) -> str:
    claim = shown["claim"]
    if claim is None or "reopen" in shown["takes"]:
        closing = shown["digest"][:_DIGITS_SHOWN]
        return f"{shown['referral']} is {shown['status']} ({shown['reason']}); closing {closing}"
    legs = [f"{display(leg['amount_minor'], leg['currency'])} to {leg['beneficiary']}" for leg in claim["legs"]]
    needs = people_needed(claim["requirement"]["routes"], claim["requirement"]["people"])
    flags = ", ".join(dict.fromkeys(raised["flag"] for raised in claim["flags"])) or "no flags"
    return (
        f"{shown['referral']} is {shown['status']}, {claim['recommendation']} ({flags}): "
        f"{', '.join(legs) or 'no legs'}; needs {needs}; claim {shown['digest'][:_DIGITS_SHOWN]}"
    )


def _answer(response: "httpx.Response") -> dict[str, Any]:
    """What the API answered.

    Raises:
        BadInput: with the problems it found.
        ReferralRewardsError: with its reason for refusing.
    """
    if response.is_success:
        found: dict[str, Any] = response.json()
        return found
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise BadInput([Problem(each["where"], each["what"]) for each in problem.get("problems", [])])
    raise ReferralRewardsError(problem.get("detail") or f"the API answered {response.status_code}")


@record.command()
def verify(data: Data = None) -> int:
    """Verify the whole chain of decisions: every link, every signature and the signed end."""
    chosen = settings(data)
    keys = keys_of(chosen)

    async def work() -> list[str]:
        async with database(chosen) as opened, opened.transaction() as connection:
            return await decisions.chain_problems(connection, keys)

    problems = asyncio.run(work())
    for problem in problems:
        tell(problem)
    if not problems:
        say("every decision follows the one before it and is signed by a key that we believe")
    return FOUND_PROBLEMS if problems else DONE
