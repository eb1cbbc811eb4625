"""What we call the codes of programs, their terms, their readiness and their pilots."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "kind": {"cash": "cash", "credit": "account credit", "discount": "discount", "gift_card": "gift card"},
    "terms": {
        "contact_hours": "contact hours",
        "effective_from": "in force from",
        "qualifying": "what qualifies",
        "satisfaction_survey": "satisfaction survey",
        "timezone": "time zone",
    },
    "area": {"terms": "terms", "billing": "billing", "rails": "rails", "people": "people", "database": "database"},
    "go": {"go": "go", "no_go": "no go", "undecided": "undecided"},
}
