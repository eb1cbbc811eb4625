"""Account credit: the payee gets credit in our own books. Needs no outside system and forgets no key."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy.exc import DBAPIError

from models.session import Database
from referral_rewards.domain import ledger as books
from referral_rewards.domain.payouts import Answer, Paid, PaymentRequest, RailTerms, Unknown
from referral_rewards.register import ledger


class AccountCredit:
    """Posts the credit in a transaction of its own, as an outside rail would: its reply can be lost too."""

    terms: Final = RailTerms(name="account_credit", key_window=None)

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        entry = books.credited(key, request.payee, request.amount_minor, request.currency)
        try:
            async with self._database.transaction() as connection:
                await ledger.post(
                    connection, entry, program=request.program, referral=request.referral, at=self._clock()
                )
        except DBAPIError as error:
            return Unknown(f"the books did not answer ({type(error.orig).__name__})")
        found = await self.look_up(request, key)
        return found or Unknown("the books do not show what was posted")

    async def look_up(self, request: PaymentRequest, key: str) -> Paid | None:
        async with self._database.transaction() as connection:
            found = await ledger.find(connection, books.credited(key, request.payee, 1, request.currency).key)
        return None if found is None else Paid(*found)
