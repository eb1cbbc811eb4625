"""Payments by hand: people follow an instruction to pay at the bank, and a second person confirms the payment.

The instruction is written when a person exports it (`register.payouts.exporting`), which counts as sending it. A
payment counts as made only once a person who did not approve it has signed the confirmation.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.exc import InterfaceError, OperationalError

from models.session import NO_ANSWER, Database
from referral_rewards.domain.books.reconciliation import ListedPage
from referral_rewards.domain.payouts.rail_catalogue import MANUAL
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    TakenBack,
    Unknown,
)
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import instructions

_WAITS: Final = "the instruction waits for a second person to confirm that the bank executed it"
_BY_HAND: Final = "the bank does not give it back; ask the payee for it, or keep it from what they get next"


class Manual:
    """Reads in transactions of its own what people recorded, as an outside rail would: its reply can also be lost."""

    facts: Final = MANUAL

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        """Return what became of the instruction. Only a person's export writes one: a worker must not send it alone."""
        return await self.look_up(request, key) or Unknown("nobody exported its instruction", for_good=True)

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        try:
            async with self._database.transaction() as connection:
                written = await instructions.find(connection, key)
                if written is None:
                    return None
                if await instructions.refused(connection, written.payout_id, key, self._keys):
                    return Declined("somebody recorded that the bank did not execute it")
                reference = await instructions.confirmed_as(connection, written.payout_id, key, self._keys)
        except NO_ANSWER as error:
            return _silent(error)
        return Accepted(_shown(written, key), _WAITS) if reference is None else _shown(written, reference)

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self.look_up(request, key) or Unknown("the register does not show it any more")

    async def funded(self, request: PaymentRequest) -> bool | None:
        """Return None: we do not know the balance of the bank account."""
        return None

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        return None

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        return Declined(_BY_HAND)

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack]:
        return ()

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """Return an empty page: the bank reports its payments to people, not to us."""
        return ListedPage(())


def _shown(written: Any, reference: str) -> Paid:
    return Paid(reference, int(written.amount_minor), written.currency, written.destination)


def _silent(error: OperationalError | InterfaceError) -> Unknown:
    return Unknown(f"the register did not answer ({type(error.orig).__name__})")
