"""Checks of the payment: do the limits leave room for the reward, and may its beneficiaries be paid (SPEC §5)?"""

from referral_rewards.domain import money
from referral_rewards.domain.claims import rewards
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import (
    NO_REFERRER,
    Finding,
    Flag,
    could_not_run,
    failed,
    passed,
    unanswerable,
)
from referral_rewards.domain.claims.rewards import Leg, Room, Side
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payees import tax_thresholds
from referral_rewards.domain.payouts.rail_catalogue import PayeeNeed, needs, takes_reference
from referral_rewards.domain.referrals.lifecycle import Reason


def cap_available(dossier: Dossier) -> Finding:
    """The referrer's cap leaves room for the whole reward."""
    room = rewards.reckon(dossier).cap
    if room is Room.NONE:
        return failed(
            "The referrer has already reached their cap, so nothing of the reward is left.", denial=Reason.CAP_REACHED
        )
    if room is Room.PART:
        return failed("The referrer's cap reduces the reward.", flags=(Flag.CAP_LIMITED,))
    return passed("The reward is within the referrer's cap.")


def budget_available(dossier: Dossier) -> Finding:
    """The program's budget leaves room for the whole reward."""
    room = rewards.reckon(dossier).budget
    if room is Room.NONE:
        return failed("The program's budget is used up.", flags=(Flag.BUDGET_EXHAUSTED,))
    if room is Room.PART:
        return failed("The program's remaining budget reduces the reward.", flags=(Flag.CAP_LIMITED,))
    return passed("The reward is within the program's budget.")


def payee_known(dossier: Dossier) -> Finding:
    """Each leg has a beneficiary, of whom all is known that its rail needs. Otherwise the leg waits for it (SPEC §7).

    That a leg waits is no flag. A leg that names nobody is one: no rail can pay it, however long it waits.
    """
    legs = rewards.reckon(dossier).legs
    named = [leg for leg in legs if leg.beneficiary is not None]
    # An unknown referrer is flagged as such, which asks a person for just this.
    asked_for = dossier.referrer is None
    nobody = [leg.role for leg in legs if leg.beneficiary is None and not (asked_for and leg.role is Side.REFERRER)]
    nameless = [f"The {role} has no customer id, so nobody can be paid." for role in nobody]
    missing = [lack for leg in named if (lack := _lacking(dossier, leg)) is not None]
    methods = [method for leg in legs if (method := _used(dossier, leg)) is not None]
    if nameless:
        return could_not_run(" ".join([*nameless, *missing]), *methods)
    if len(named) < len(legs):
        return unanswerable(" ".join([NO_REFERRER, *missing]), *methods)
    if missing:
        return failed(" ".join(missing), *methods)
    said = "All that the rails need is known of every payee." if legs else "There is nothing to pay."
    return passed(said, *methods)


def _lacking(dossier: Dossier, leg: Leg) -> str | None:
    """Return what the leg's rail needs and nobody has told, in a sentence; None if nothing is lacking."""
    whom = f"The {leg.role} {leg.beneficiary}"
    match needs(leg.rail):
        case PayeeNeed.NOTHING:
            return None
        case PayeeNeed.ADDRESS:
            marks = dossier.referrer_marks if leg.role is Side.REFERRER else dossier.referee_marks
            known = identity.of_kinds(marks, ("email",)) or _used(dossier, leg) is not None
            return None if known else f"{whom} has no email address to send the {label('kind', leg.kind)} to."
        case PayeeNeed.REFERENCE:
            known = _used(dossier, leg) is not None
            return None if known else f"{whom} has not added a payment method ({label('rail', leg.rail)}) yet."


def _used(dossier: Dossier, leg: Leg) -> Fact | None:
    """Return the payment method that the leg's rail would pay to; None if there is none, or the rail takes none."""
    return rewards.payment_method(dossier, leg.beneficiary, leg.rail) if takes_reference(leg.rail) else None


def tax_cleared(dossier: Dossier) -> Finding:
    """No payee passes a tax threshold without a form; the leg of one who does waits until the form arrives.

    In another currency than the threshold's nothing can be compared, so that a form is needed from the first reward on.
    """
    terms = dossier.terms
    year = dossier.now.astimezone(terms.zone).year
    limit = tax_thresholds.threshold(terms.tax.regime, year)
    if limit is None:
        return passed("The program does no tax reporting.")
    added: dict[str, int] = {}
    for leg in rewards.reckon(dossier).legs:
        if leg.beneficiary is not None:
            added[leg.beneficiary] = added.get(leg.beneficiary, 0) + leg.amount_minor
    if unknown := sorted(payee for payee in added if payee not in dossier.tax):
        return could_not_run(f"The yearly total of {listed(unknown)} could not be read.")
    needed = "the reward is paid once the form is on file"
    formless = sorted(payee for payee in added if not dossier.tax[payee].form_on_file)
    if limit.currency != terms.currency and formless:
        told = f"The tax threshold is in {limit.currency}, the program pays in {terms.currency}"
        return failed(f"{told}, and there is no tax form of {listed(formless)} on file: {needed}.")
    held = [
        payee
        for payee, amount_minor in sorted(added.items())
        if not tax_thresholds.cleared(
            terms.tax.regime, year, dossier.tax[payee].year_total_minor + amount_minor, dossier.tax[payee].form_on_file
        )
    ]
    told = f"the tax threshold of {year} ({money.display(limit.minor, limit.currency)})"
    if held:
        return failed(f"With this reward {listed(held)} reaches {told} and has no tax form on file: {needed}.")
    return passed(f"Below {told}, or a tax form is on file.")
