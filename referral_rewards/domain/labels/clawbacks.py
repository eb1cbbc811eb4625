"""What we call the codes of clawback cases and clawbacks."""

from collections.abc import Mapping
from typing import Final

_CLAWBACK_STATE: Final = {
    "approved": "approved",
    "reversing": "being reversed",
    "unknown": "outcome unknown",
    "manual_review": "manual review",
    "reversed": "reversed",
    "partly_reversed": "partly reversed",
    "unrecoverable": "not recovered",
    "offsetting": "being offset",
    "offset": "offset",
    "written_off": "written off",
}

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "case_state": {
        "open": "open",
        "frozen": "frozen during a dispute",
        "decided": "decided",
        "dismissed": "dismissed",
    },
    "clawback": {
        "reverse": "reversal at the provider",
        "offset": "offset against later payouts",
        "write_off": "write-off",
    },
    "clawback_state": _CLAWBACK_STATE,
}
