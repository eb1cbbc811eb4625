"""How a finding on a payment is told: which reward it is about, and amounts in words."""

from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.records import Leg, Payment
from referral_rewards.domain.money import display


def finding(payment: Payment, part: Part, what: str, where: str, leg: Leg | None = None) -> Finding:
    """Return a finding on a payment, or on one of its rewards; a payment of one reward is about that one."""
    if leg is None and len(payment.paid) == 1:
        leg = payment.paid[0]
    return Finding(
        part=part,
        what=what,
        where=where,
        referral=leg.referral_id if leg is not None else payment.payout.referral_id,
        role=leg.role if leg is not None else None,
        payout=str(payment.payout.id),
    )


def amount(amount_minor: int, currency: str) -> str:
    """Return an amount in words, also in a currency that nobody knows."""
    try:
        return display(amount_minor, currency)
    except (KeyError, ValueError):
        return f"{amount_minor} minor units of {currency}"


def differs(noun: str, stands: object, right: object) -> str:
    """Return the sentence that something is another than it must be."""
    return f"its {noun} is {_told(stands)}; right would be {_told(right)}"


def _told(value: object) -> str:
    if value is None:
        return "missing"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
