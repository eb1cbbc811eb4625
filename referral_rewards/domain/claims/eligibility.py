"""Eligibility: every check of SPEC §5, one pure function each, in the order of its table."""

from collections.abc import Callable, Mapping
from typing import Final

from referral_rewards.domain.claims import attribution, checks_of_conversion, checks_of_payment, checks_of_people
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import CheckCode, Finding, InputMissing, could_not_run

CHECKS: Final[Mapping[CheckCode, Callable[[Dossier], Finding]]] = {
    CheckCode.CONVERSION_CONFIRMED: checks_of_conversion.conversion_confirmed,
    CheckCode.EVIDENCE_AGREES: checks_of_conversion.evidence_agrees,
    CheckCode.WITHIN_PERIODS: checks_of_conversion.within_periods,
    CheckCode.MINIMUM_MET: checks_of_conversion.minimum_met,
    CheckCode.CONVERSION_NOT_REVERSED: checks_of_conversion.conversion_not_reversed,
    CheckCode.PROGRAM_ACTIVE: checks_of_people.program_active,
    CheckCode.REFERRER_ACTIVE: checks_of_people.referrer_active,
    CheckCode.REFERRER_ENROLLED: checks_of_people.referrer_enrolled_before_conversion,
    CheckCode.REFEREE_IS_NEW: checks_of_people.referee_is_new_customer,
    CheckCode.NOT_SELF_REFERRAL: checks_of_people.not_self_referral,
    CheckCode.NOT_DUPLICATE: attribution.not_duplicate,
    CheckCode.ATTRIBUTION_CLEAR: attribution.attribution_clear,
    CheckCode.CAP_AVAILABLE: checks_of_payment.cap_available,
    CheckCode.BUDGET_AVAILABLE: checks_of_payment.budget_available,
    CheckCode.CONSENT_GIVEN: checks_of_people.consent_given,
    CheckCode.NO_OPEN_ISSUE: checks_of_people.no_open_issue,
    CheckCode.ADVOCACY_PERMITTED: checks_of_people.advocacy_permitted,
    CheckCode.NO_OPEN_DISPUTE: checks_of_conversion.no_open_dispute,
    CheckCode.CURRENCY_MATCHES: checks_of_conversion.currency_matches,
    CheckCode.PAYEE_KNOWN: checks_of_payment.payee_known,
    CheckCode.TAX_CLEARED: checks_of_payment.tax_cleared,
}


def judge(code: CheckCode, dossier: Dossier) -> Finding:
    """Return the check's finding; a check that raises any exception could not run (law 4: fail closed)."""
    try:
        return CHECKS[code](dossier)
    except InputMissing as missing:
        return could_not_run(str(missing))
    except Exception as error:
        # Only the class is told: a message may quote what it choked on, and claims hold nothing personal.
        return could_not_run(f"The check failed with an error ({type(error).__name__}).")
