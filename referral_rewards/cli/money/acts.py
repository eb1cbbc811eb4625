"""Decisions on money from the command line: a command for each act on a payout, a clawback case or a cycle."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from referral_rewards.cli.claims.decisions import Note, Reason
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import Data, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain import money
from referral_rewards.domain.decisions.act_kinds import (
    NEEDS_AMOUNT,
    NEEDS_REFERENCE,
    REASONS,
    SUBJECT_OF,
    MoneyAct,
    SubjectKind,
)
from referral_rewards.domain.errors import BadInput, ReferralRewardsError, RequestInvalid, none_of
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels

_A = MoneyAct
_DIGITS_SHOWN: Final = 12

#: Where the API has each kind of subject, and what one is called here.
ROOMS: Final[Mapping[SubjectKind, tuple[str, str]]] = {
    SubjectKind.PAYOUT: ("/v1/payouts", "PAYOUT"),
    SubjectKind.REWARD: ("/v1/clawbacks/rewards", "REWARD"),
    SubjectKind.CLAWBACK_CASE: ("/v1/clawbacks", "CASE"),
    SubjectKind.CYCLE: ("/v1/cycles", "CYCLE"),
    SubjectKind.RAIL: ("/v1/rails", "RAIL"),
    SubjectKind.FORGOTTEN_PAYMENT: ("/v1/forgotten-payments", "PAYMENT"),
}

_SAYS: Final[Mapping[MoneyAct, str]] = {
    _A.RETRY_PAYOUT: "Release a payout that was refused, came back, lacked funds or was never sent, under a new key.",
    _A.SETTLE_PAYOUT: "Record that the provider shows a payout as paid, under its reference.",
    _A.REFUSE_PAYOUT: "Record that a payout was not paid and won't be.",
    _A.CANCEL_PAYOUT: "Do not pay a payout any more.",
    _A.CONFIRM_PAYOUT: "Confirm that the bank executed a manual instruction, under the bank's reference.",
    _A.OPEN_CLAWBACK: "Open a case over so much of a paid reward; a decision on the case moves the money.",
    _A.REVERSE_CLAWBACK: "Take so much of a paid reward back at its provider.",
    _A.OFFSET_CLAWBACK: "Keep so much from what the payee gets next.",
    _A.WRITE_OFF_CLAWBACK: "Give so much of it up.",
    _A.RETURN_CLAWBACK: "Pay so much of what was taken back to the payee again: it was taken wrongly.",
    _A.DISMISS_CLAWBACK: "Close a case: the reward was right after all.",
    _A.SETTLE_CLAWBACK: "Record that the provider shows a reversal as done, under its reference.",
    _A.REFUSE_CLAWBACK: "Record that a reversal was not done and won't be.",
    _A.RELEASE_CYCLE: "Have the frozen list of a payout cycle paid.",
    _A.STOP_CYCLE: "Send nothing more of a payout cycle.",
    _A.RESUME_CYCLE: "Go on with a payout cycle that was stopped.",
    _A.REOPEN_RAIL: "Pay over a rail again that was halted after a restore of the register.",
    _A.ASSIGN_PAYMENT: "Record which payout a forgotten payment was: --reference is the payout's id.",
    _A.DISOWN_PAYMENT: "Record that a forgotten payment belongs to no payout of ours.",
    _A.PAUSE_PROGRAM: "Approve nothing and send nothing new until the program is resumed.",
    _A.RESUME_PROGRAM: "Go on with a program that is paused.",
    _A.END_PROGRAM: "Take no referral from a time on, for good.",
    _A.ADD_BUDGET: "Sign an addition to a program's budget; it takes finance and the program owner, two people.",
}

Digest = Annotated[str | None, typer.Option("--digest", help="The digest that `show` named; else the present one.")]
Amount = Annotated[str, typer.Option("--amount", metavar="AMOUNT", help='How much, in its currency, such as "10.00".')]
Reference = Annotated[
    str, typer.Option("--reference", metavar="TEXT", help="The provider's or bank's reference of the payment.")
]


def commands(kind: SubjectKind) -> list[tuple[str, Callable[..., int]]]:
    """A command for each act on subjects of that kind, with its name."""
    return [(name_of(act), _command(act)) for act, about in SUBJECT_OF.items() if about is kind]


def name_of(act: MoneyAct) -> str:
    """What an act is called among those on its kind of subject: `retry`, `write-off`."""
    return act.rpartition("_")[0].replace("_", "-")


#: By what words the state of each kind of subject is told.
_STATES: Final = {
    SubjectKind.PAYOUT: "payout_state",
    SubjectKind.REWARD: "leg_state",
    SubjectKind.CLAWBACK_CASE: "case_state",
    SubjectKind.CYCLE: "cycle_state",
    SubjectKind.RAIL: "rail_state",
    SubjectKind.FORGOTTEN_PAYMENT: "forgotten_state",
}


def in_brief(kind: SubjectKind, shown: Mapping[str, Any]) -> str:
    """A subject as the API shows it, in one line for whoever decides on it."""
    name = shown["rail"] if kind is SubjectKind.RAIL else shown["id"]
    said = f"{label('subject', kind)} {name} is {label(_STATES[kind], shown['state'])}"
    if shown.get("why"):
        said += f" ({shown['why']})"
    if shown.get("amount_minor") is not None:
        amount = money.display(shown["amount_minor"], shown["currency"])
        said += f": {amount} to {shown['payee'] or 'somebody unknown'}, {label('rail', shown['rail'])}"
    elif shown.get("due_on"):
        said += f": {shown['program']}, due on {shown['due_on']}"
    if shown["room_minor"] is not None:
        said += f", {money.display(shown['room_minor'], shown['currency'])} of it left"
    return f"{said}; digest {shown['digest'][:_DIGITS_SHOWN]}"


def _command(act: MoneyAct) -> Callable[..., int]:
    """The command of one act. What else it takes, an amount or a reference, its signature says."""
    _, noun = ROOMS[SUBJECT_OF[act]]

    def decide(subjects: list[UUID | str], reason: str, note: str, **given: Any) -> int:
        if reason not in REASONS[act]:
            raise RequestInvalid(none_of(reason, REASONS[act]), "--reason")
        alone = {"--digest": given["digest"], "--reference": given.get("reference"), "--amount": given.get("amount")}
        if len(subjects) > 1 and (named := [name for name, value in alone.items() if value is not None]):
            raise RequestInvalid(f"speaks of one {noun.lower()}", named[0])
        asked = {"reason": reason, "note": note, "reference": given.get("reference")}
        code = DONE
        for subject in subjects:
            try:
                _decide(given["data"], act, subject, given["user"], asked, given["digest"], given.get("amount"))
            except BadInput:
                raise
            except ReferralRewardsError as refusal:
                if len(subjects) == 1:
                    raise
                tell(str(refusal))
                code = FOUND_PROBLEMS
        return code

    takes: dict[str, Any] = {
        "subjects": Annotated[
            list[str] if SUBJECT_OF[act] is SubjectKind.RAIL else list[UUID], typer.Argument(metavar=noun)
        ],
        "reason": Reason,
        "note": Note,
        **({"amount": Amount} if act in NEEDS_AMOUNT else {}),
        **({"reference": Reference} if act in NEEDS_REFERENCE else {}),
    }
    may = {"user": As, "digest": Digest, "data": Data}
    keyword = inspect.Parameter.KEYWORD_ONLY
    decide.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, keyword, annotation=what) for name, what in takes.items()]
        + [inspect.Parameter(name, keyword, annotation=what, default=None) for name, what in may.items()]
    )
    decide.__annotations__ = {**takes, **may}
    decide.__doc__ = f"{_SAYS[act]} Reasons: {', '.join(REASONS[act])}."
    return decide


def _decide(
    data: Path | None,
    act: MoneyAct,
    subject: UUID | str,
    user: str | None,
    asked: Mapping[str, Any],
    digest: str | None,
    amount: str | None,
) -> None:
    kind = SUBJECT_OF[act]
    room, _ = ROOMS[kind]
    with api_of(data, user, Purpose.DECIDE) as api:
        shown = api.get(f"{room}/{subject}")
        tell(in_brief(kind, shown))
        looked_at = shown["digest"] if is_start_of(digest, shown["digest"]) else digest
        minor = None if amount is None else minor_of(amount, shown["currency"])
        decision = {"act": act, "digest": looked_at, "amount_minor": minor, **asked}
        made = api.post(f"{room}/{subject}/decisions", decision)
    by = f"{made['user']} ({listed(labels('role', made['roles']))})"
    again = " before" if made["repeated"] else ""
    say(f"{subject}: recorded{again} as decision {made['seq']}: {label('decided', act)} by {by}")


def is_start_of(given: str | None, digest: str) -> bool:
    """Whether the digest is the one that was looked at: none given, or as many of its digits as are shown."""
    return given is None or (len(given) >= _DIGITS_SHOWN and digest.startswith(given))


def minor_of(amount: str, currency: str, where: str = "--amount") -> int:
    """An amount in minor units of its currency.

    Raises:
        RequestInvalid: if it is none.
    """
    try:
        value = money.parse_decimal(amount)
        if not money.fits(value, currency):
            raise ValueError(f"{currency} has {money.exponent(currency)} decimals")
    except ValueError as error:
        raise RequestInvalid(str(error), where) from None
    return money.to_minor(value, currency)
