"""What we call the codes of the books, statements of payees and reconciliations."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "account": {
        "expense": "expense",
        "loss": "loss",
        "payable": "payable",
        "credit": "account credit",
        "withholding": "tax withheld",
        "recoverable": "recoverable",
        "clearing": "clearing",
    },
    "statement": {
        "earned": "earned",
        "cancelled": "cancelled",
        "paid": "paid",
        "returned": "payment returned",
        "offset": "offset against a debt",
        "offset_undone": "offset undone",
        "withheld": "tax withheld",
        "withheld_undone": "tax withheld undone",
        "claimed_back": "claimed back",
        "claim_dropped": "claim dropped",
        "recovered": "taken back",
        "written_off": "written off",
        "owed_again": "return ordered",
        "owed_no_more": "return cancelled",
        "other": "other entry",
        "opening_balance": "opening balance",
        "closing_balance": "closing balance",
    },
    "sum": {
        "amount": "amount",
        "net": "net amount",
        "proposed": "proposed",
        "recovered": "recovered",
        "written_off": "written off",
        "held": "held for a tax form",
        "owed": "owed",
        "paid": "paid",
        "reward": "rewards",
    },
    "difference": {
        "ours_only": "settled here, not found at the rail",
        "theirs_only": "paid by the rail, no payout of ours",
        "amount": "different amount",
        "currency": "different currency",
        "destination": "different destination",
        "state": "different state",
        "reversed": "different amount taken back",
        "duplicate": "paid more than once",
        "unseen": "no answer from the rail",
        "under_way": "outcome not known yet",
        "changed": "changed while the rail was asked",
    },
    "listed_state": {"paid": "paid", "under_way": "being paid", "failed": "failed"},
    "reconciliation_state": {"asked": "starting", "listed": "comparing", "done": "done", "failed": "failed"},
}
