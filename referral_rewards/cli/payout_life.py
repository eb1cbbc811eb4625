"""The life of a payout, or of a clawback case, as the command line tells it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from referral_rewards.cli.console import table
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display

if TYPE_CHECKING:
    from rich.console import Console


def tell_life(out: "Console", payout: Mapping[str, Any]) -> None:
    """Prints one payout as `reporting.payouts` shows it."""
    from rich.markup import escape

    amount = display(payout["amount_minor"], payout["currency"])
    key = f", key {payout['key']}" + (f" (generation {payout['generation']})" if payout["generation"] > 1 else "")
    out.print(
        f"[bold]payout[/bold] {payout['payout']}: {amount} to {escape(payout['payee'])}, "
        f"{label('rail', payout['rail'])}{key}, [bold]{label('payout_state', payout['state'])}[/bold]",
        soft_wrap=True,
    )
    for said in (payout["why"], payout["to_do"], _reference(payout), _cycle(payout)):
        if said:
            out.print(f"  {said}", markup=False, soft_wrap=True)
    for leg in payout["legs"]:
        gone = "" if leg["live"] else ", no longer in it"
        pays = display(leg["amount_minor"], leg["currency"])
        out.print(
            f"  pays {pays} {label('kind', leg['kind'])} to the {leg['role']} of {leg['referral']}{gone}", markup=False
        )
    for each in payout["deductions"]:
        gone = "" if each["live"] else ", given back"
        less = display(each["amount_minor"], payout["currency"])
        what = _deduction(each)
        out.print(f"  less {less} {what}{gone}", markup=False)
    if payout["steps"]:
        steps = table("when", "what was done", "then it stood", "key", "reference", "why")
        for step in payout["steps"]:
            state, act = label("payout_state", step["state"]), label("step", step["act"])
            steps.add_row(step["at"], act, state, str(step["generation"]), step["reference"], step["why"])
        out.print(steps)


def _deduction(each: Mapping[str, Any]) -> str:
    if each["kind"] == "offset":
        return f"offset against clawback {each['source']}"
    return f"tax withheld ({label('regime', each['source'])})"


def tell_case(out: "Console", case: Mapping[str, Any]) -> None:
    """Prints one clawback case as `reporting.clawbacks` shows it."""
    currency = case["currency"]
    out.print(
        f"[bold]clawback case[/bold] {case['case']} of the {case['role']}'s reward, "
        f"[bold]{label('case_state', case['state'])}[/bold] since "
        f"{case['settled_at'] or case['opened_at']}",
        soft_wrap=True,
    )
    proposed = case["proposed_minor"]
    sums = f"paid {display(case['paid_minor'], currency)}, {display(case['room_minor'], currency)} remaining"
    said = sums if proposed is None else f"{sums}; proposed by the rules: {display(proposed, currency)}"
    for line in (case["why"], said, case["to_do"]):
        if line:
            out.print(f"  {line}", markup=False, soft_wrap=True)
    for each in case["clawbacks"]:
        why = f": {each['why']}" if each["why"] else ""
        amount, back = display(each["amount_minor"], currency), display(each["recovered_minor"], currency)
        what = f"{label('clawback', each['kind'])} of {amount}, {back} recovered"
        out.print(f"  {what}, {label('clawback_state', each['state'])}{why}", markup=False, soft_wrap=True)


def _reference(payout: Mapping[str, Any]) -> str | None:
    return f"the provider calls it {payout['reference']}" if payout["reference"] else None


def _cycle(payout: Mapping[str, Any]) -> str | None:
    return f"part of payout cycle {payout['cycle']}" if payout["cycle"] else None
