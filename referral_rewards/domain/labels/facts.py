"""What we call the codes of facts, their fields, and what became of an import's rows."""

from collections.abc import Mapping
from typing import Final

_FACT: Final = {
    "referrer.enrolled": "referrer enrolled",
    "referrer.suspended": "referrer suspended",
    "referrer.reinstated": "referrer reinstated",
    "referral.sent": "invitation sent",
    "referral.claimed": "offer claimed",
    "referral.withdrawn": "referral withdrawn",
    "referral.appealed": "appeal",
    "conversion.recorded": "conversion recorded",
    "conversion.reported": "conversion reported by a participant",
    "conversion.amended": "conversion amended",
    "conversion.reversed": "conversion reversed",
    "conversion.reversal_failed": "reversal failed",
    "conversion.dispute_opened": "payment dispute opened",
    "conversion.dispute_closed": "payment dispute closed",
    "reward.requested": "reward requested by hand",
    "attribution.changed": "attribution change requested",
    "customer.issue_opened": "customer issue opened",
    "customer.issue_resolved": "customer issue resolved",
    "consent.granted": "consent given",
    "consent.withdrawn": "consent withdrawn",
    "payee.method_set": "payment method set",
    "payee.method_removed": "payment method removed",
    "payee.tax_form_filed": "tax form filed",
    "satisfaction.rated": "satisfaction rated",
}

#: Fields of facts, of the audit log and of forms.
_FIELD: Final = {
    "by": "by",
    "channel": "channel",
    "code": "code",
    "consent": "consent",
    "country": "country",
    "from_referrer": "from referrer",
    "referrer_code": "referrer code",
    "to_referrer": "to referrer",
    "new_customer": "new customer",
    "valid_from": "valid from",
    "withholding_percent": "withholding, in percent",
    "amount_minor": "amount in minor units",
    "expires_at": "expires",
    "way": "signed in with",
    "kind": "kind",
    "rule": "rule",
    "limited_by": "limited by",
    "amount_min": "amount from",
    "amount_max": "amount to",
    "because": "because",
}

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "fact": _FACT,
    "field": _FIELD,
    "intake_warning": {
        "unknown_program": "unknown program",
        "unreadable_phone": "phone number",
        "unknown_field": "unknown field",
        "unknown_word": "unknown word",
        "amount_without_effect": "amount without effect",
    },
    "import": {
        "would_be_imported": "would be imported",
        "not_written": "not written",
        "imported": "imported",
        "parked": "imported, waiting for its program",
        "repeated": "imported before",
        "conflict": "in conflict with what was imported before",
        "refused": "refused",
        "paid": "paid by the tool",
        "beside_paid": "beside a reward that the tool paid",
        "closed": "closed by the tool",
        "no_referral": "no referral",
        "unreadable": "unreadable",
    },
}
