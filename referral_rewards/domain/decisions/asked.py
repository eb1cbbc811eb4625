"""A decision that a person asks to record."""

from dataclasses import dataclass

from referral_rewards.domain.decisions.decision import Kind


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision that a person asks to record, with the digest that was shown to them.

    ``subject`` is the id of a referral or, for a `MoneyAct`, of the payout, clawback case or cycle. ``seen`` is the
    number of the last decision on the referral that was shown, 0 for none. If another decision has been recorded
    since, this one is refused; None skips that check. ``together``: it is one of many claims decided at once, none of
    which may be flagged. ``amount_minor``, in minor units of the subject's currency, and ``reference`` are given where
    the act needs one.
    """

    subject: str
    kind: Kind
    reason: str
    note: str
    digest: str
    seen: int | None = None
    together: bool = False
    amount_minor: int | None = None
    reference: str | None = None
