"""What is told about a case whose payment its rail took back, or may have, without the register knowing it. Pure."""

from referral_rewards.domain import money
from referral_rewards.domain.payouts.rail_catalogue import title


def to_count(rail: str, taken_before_minor: int, currency: str) -> str:
    """Return what to do about what a rail took back and no clawback accounts for."""
    amount = money.display(taken_before_minor, currency)
    return (
        f"{title(rail)} took back {amount} of this payment already, which the register did not know. Reverse that"
        " amount first: it is counted, and nothing is taken a second time"
    )


def to_ask(rail: str) -> str:
    """Return why nothing is kept from the payee's later payouts yet."""
    return (
        f"the register was restored, and {title(rail)} is being asked what it took back of this payment meanwhile;"
        " try again in some minutes"
    )
