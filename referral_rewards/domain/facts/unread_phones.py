"""Phone numbers that nothing can be made of: a fact with one is taken, and its sender is told (SPEC §3)."""

from collections.abc import Mapping, Set
from typing import Any, Final

from referral_rewards.domain.facts.identity import of_kinds
from referral_rewards.domain.facts.intake_warnings import FactWarning, WarningKind
from referral_rewards.domain.facts.payloads import PERSON_PART, FactType, person_of

_EXAMPLE: Final = "write it as +14165550173"


def unread_phone(
    fact_type: FactType, data: Mapping[str, Any], marks: Set[str], region: str | None
) -> FactWarning | None:
    """Return the warning of a person's phone number that made no mark by which orders are matched, or None.

    ``region`` is where the numbers of the fact's source are at home, None if nobody said.
    """
    phone = (person_of(fact_type, data) or {}).get("phone")
    if phone is None or (isinstance(phone, str) and not phone.strip()) or of_kinds(marks, ("phone",)):
        return None
    where = ".".join(filter(None, ("data", PERSON_PART[fact_type], "phone")))
    return FactWarning(
        WarningKind.UNREADABLE_PHONE, where, _why(phone, bool(of_kinds(marks, ("local_phone",))), region)
    )


def _why(phone: Any, digits: bool, region: str | None) -> str:
    if not isinstance(phone, str):
        return f"is no text: it matches no order; {_EXAMPLE}"
    if not digits:
        return f"is no phone number: it matches no order; {_EXAMPLE}"
    if region is not None:
        return f"is no number of the region {region} and names no other country: it matches no order; {_EXAMPLE}"
    return (
        f"names no country, and no region is set for its source: it matches no order; {_EXAMPLE}, "
        "or set REFERRALS_REGION or REFERRALS_REGIONS"
    )
