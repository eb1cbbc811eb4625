"""What we call the codes of payees: tax forms, tax years, and looks at what is kept of them."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "form_standing": {
        "in_force": "valid",
        "missing": "missing",
        "not_yet_valid": "not valid yet",
        "expired": "expired",
        "not_rateable": "nothing to rate",
        "not_taken": "not accepted by this regime",
        "unreadable": "unreadable",
    },
    "payee_status": {
        "domestic": "taxpayer of the regime, by the form on file",
        "foreign": "foreign, by the form on file",
        "changed": "changed within the year",
        "undeclared": "no form says",
    },
    "tax_grounds": {
        "reaches_threshold": "the threshold is reached",
        "below_threshold": "below the threshold",
        "no_regime": "no program that paid reports to an authority",
        "foreign": "foreign by the form on file: find out whether a form for foreign payees is due, such as 1042-S",
        "status_changed": "the form changed within the year: look at each payment",
        "another_currency": "paid in another currency than the threshold’s",
    },
    "regime": {"none": "no tax reporting", "us": "United States"},
    "look": {
        "redirect": "to check a redirect",
        "payment_failed": "a payment failed",
        "payee_asked": "the payee asked",
        "audit": "an audit asks for it",
        "bank_file": "in the file for the bank",
    },
}
