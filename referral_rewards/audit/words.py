"""The parts of an audit in words, for pages, commands and the guide: what was checked, and what a finding asks for."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from referral_rewards.audit.findings import Part


class Words(NamedTuple):
    """The name of a part, which is its code in words, what is checked in it, and what somebody does about a finding."""

    name: str
    checked: str
    to_do: str


#: The kinds of rewards in words. They stand here again, as the audit takes nothing from what judged and paid.
KINDS: Final[Mapping[str, str]] = {
    "cash": "cash",
    "credit": "account credit",
    "discount": "discount",
    "gift_card": "gift card",
}

WORDS: Final[Mapping[Part, Words]] = {
    Part.SOURCE_ATTRIBUTION: Words(
        "Source attribution",
        "The referral was made by the referrer who was paid, in the program that paid.",
        "Find out who referred. If another person was paid, open a clawback case.",
    ),
    Part.QUALIFYING_EVENT: Words(
        "Qualifying event",
        "The facts are as they were received, and the purchase that was paid for meets the terms.",
        "Compare the fact with its source. Restore it from a backup if it was changed here.",
    ),
    Part.PROGRAM_TERMS: Words(
        "Program terms",
        "The terms are those that were published and in force when the referral began.",
        "Compare the version with the file that was published.",
    ),
    Part.FRAUD_CONFLICT_CHECK: Words(
        "Fraud and conflict check",
        "What was suspicious or contradictory was flagged, and decided by the people whom it takes.",
        "Have the claim looked at again by finance and operations.",
    ),
    Part.PAYOUT_AMOUNT: Words(
        "Payout amount",
        "The amount follows from the terms and the order, or a person set it by name.",
        "Work out the right amount. Take back what was paid too much.",
    ),
    Part.APPROVAL_RECORD: Words(
        "Approval record",
        "People with the authority approved it.",
        "Ask the people named. A payment without approval is an incident.",
    ),
    Part.PAYMENT_STATUS: Words(
        "Payment status",
        "What counts as paid is paid, and nothing else is.",
        "Look the payment up at its provider, and reconcile the rail.",
    ),
    Part.REFUND_STATUS: Words(
        "Refund status",
        "What was taken back was ordered by a signed decision, and no more than was paid.",
        "Compare the clawback with its decision and with the provider.",
    ),
    Part.DUPLICATES: Words(
        "Duplicates",
        "No reward was paid twice.",
        "Take back one of the two payments.",
    ),
    Part.LEDGER: Words(
        "Ledger",
        "The books hold exactly what these payments must have posted.",
        "Hand it to whoever keeps the books. A posting is corrected by a further one, never changed.",
    ),
    Part.PROVIDER_RECEIPT: Words(
        "Provider receipt",
        "The provider was asked for exactly what was decided, and its receipt is on record.",
        "Ask the provider for the payment under the key that is shown.",
    ),
    Part.DECISION_CHAIN: Words(
        "Decision chain",
        "Every decision is signed, follows the one before it, and covers what was shown and paid.",
        "Somebody wrote into the register past the product. Treat it as an incident.",
    ),
}
