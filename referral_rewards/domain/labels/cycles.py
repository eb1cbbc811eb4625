"""What we call the codes of payout cycles."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "cycle_state": {
        "collecting": "collecting",
        "frozen": "waiting for release",
        "released": "released",
        "stopped": "stopped",
        "done": "done",
    },
    "carried": {
        "below_minimum": "below the minimum per payee",
        "too_many": "too many rewards for one payout",
        "another_destination": "another destination than the payee's earlier rewards",
        "tax_hold": "waiting for a tax form",
        "waiting_method": "waiting for a payment method",
    },
}
