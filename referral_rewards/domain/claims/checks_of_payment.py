"""Checks of the payment: do the limits leave room for the reward, and may its beneficiaries be paid (SPEC §5)?"""

from referral_rewards.domain import money
from referral_rewards.domain.claims import rewards
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Finding, Flag, could_not_run, failed, passed
from referral_rewards.domain.claims.rewards import Room
from referral_rewards.domain.labels import label, listed
from referral_rewards.domain.payees import tax_thresholds
from referral_rewards.domain.payouts.rail_catalogue import WITHOUT_METHOD
from referral_rewards.domain.referrals.lifecycle import Reason, Side


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
    """Each leg has a beneficiary, and a destination on its rail if the rail needs one."""
    missing, methods = [], []
    legs = rewards.reckon(dossier).legs
    for leg in legs:
        method = rewards.payment_method(dossier, leg.beneficiary, leg.rail)
        if leg.beneficiary is None and leg.role is Side.REFERRER and dossier.referrer is None:
            continue  # flagged as an unknown referrer, which asks a person for just this
        if leg.beneficiary is None:
            missing.append(f"The {leg.role} has no customer id, so nobody can be paid.")
        elif method is not None and leg.rail not in WITHOUT_METHOD:
            methods.append(method)
        elif leg.rail not in WITHOUT_METHOD:
            missing.append(
                f"The {leg.role} {leg.beneficiary} has not added a payment method ({label('rail', leg.rail)}) yet."
            )
    if missing:
        return could_not_run(" ".join(missing), *methods)
    return passed("Every payee has a payment method." if legs else "There is nothing to pay.", *methods)


def tax_cleared(dossier: Dossier) -> Finding:
    """No payee passes a tax threshold without a form; the leg of one who does waits until the form arrives."""
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
    if limit.currency != terms.currency and any(not dossier.tax[payee].form_on_file for payee in added):
        return could_not_run(f"The tax threshold is in {limit.currency}, the program pays in {terms.currency}.")
    held = [
        payee
        for payee, amount_minor in sorted(added.items())
        if not tax_thresholds.cleared(
            terms.tax.regime, year, dossier.tax[payee].year_total_minor + amount_minor, dossier.tax[payee].form_on_file
        )
    ]
    told = f"the tax threshold of {year} ({money.display(limit.minor, limit.currency)})"
    if held:
        needed = "the reward is paid once the form is on file"
        return failed(f"With this reward {listed(held)} reaches {told} and has no tax form on file: {needed}.")
    return passed(f"Below {told}, or a tax form is on file.")
