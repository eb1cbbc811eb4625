"""Account credit: the payee gets credit in our own books. It needs no outside system, and its keys never expire."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError

from models.session import NO_ANSWER, Database
from referral_rewards.domain.books import accounts as ledger_accounts
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.books.ledger import Entry
from referral_rewards.domain.books.reconciliation import Listed, ListedPage, payout_of
from referral_rewards.domain.payouts.rail_catalogue import ACCOUNT_CREDIT
from referral_rewards.domain.payouts.states import (
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Reversed,
    TakenBack,
    Unknown,
    matches,
)
from referral_rewards.register.books import ledger
from referral_rewards.register.books.ledger import Credit, Posted

#: How many entries of the books one page lists.
PAGE: Final = 500


class AccountCredit:
    """Posts the credit in a transaction of its own, as an outside rail would: its reply can also be lost."""

    facts: Final = ACCOUNT_CREDIT

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        found = await self._post(request, books.credited(key, request.payee, request.amount_minor, request.currency))
        return found if isinstance(found, Unknown) else _paid(request, found)

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        try:
            async with self._database.transaction() as connection:
                found = await ledger.find(connection, books.credited(key, request.payee, 1, request.currency).key)
        except NO_ANSWER as error:
            return _silent(error)
        return None if found is None else _paid(request, found)

    async def funded(self, request: PaymentRequest) -> bool | None:
        return None

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self.look_up(request, key) or Unknown("the books do not show it any more")

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        try:
            async with self._database.transaction() as connection:
                name = books.uncredited(key, request.payee, 1, request.currency).key
                found = await ledger.find(connection, name)
        except NO_ANSWER as error:
            return _silent(error)
        return None if found is None else Reversed(found.id, found.amount_minor, found.currency)

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Take credit back. The customer's credit may fall below zero: what was spent is owed."""
        if not matches(request, paid) or not 0 < amount_minor <= request.amount_minor:
            return Declined("no more is taken back than was paid")
        found = await self._post(request, books.uncredited(key, request.payee, amount_minor, request.currency))
        return found if isinstance(found, Unknown) else Reversed(found.id, found.amount_minor, found.currency)

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack]:
        return ()

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """List all credit given and taken back in the books, whatever wrote the entries."""
        try:
            async with self._database.transaction() as connection:
                found = await ledger.credit_entries(connection, since, until, after, PAGE)
        except NO_ANSWER as error:
            return _silent(error)
        return ListedPage([_listed(each) for each in found], found[-1].place if len(found) == PAGE else None)

    async def _post(self, request: PaymentRequest, entry: Entry) -> Posted | Unknown:
        try:
            async with self._database.transaction() as connection:
                await ledger.post(
                    connection, entry, program=request.program, referral=request.referral, at=self._clock()
                )
            async with self._database.transaction() as connection:
                found = await ledger.find(connection, entry.key)
        except NO_ANSWER as error:
            return _silent(error)
        return found or Unknown("the books do not show what was posted")


def _listed(credit: Credit) -> Listed:
    key = credit.key.partition(":")[2]
    return Listed(
        reference=credit.id,
        payout=payout_of(key) if credit.amount_minor > 0 else None,
        key=key,
        amount_minor=abs(credit.amount_minor),
        currency=credit.currency,
        destination=ledger_accounts.parts(credit.account)[1],
        at=credit.posted_at,
        takes_back=credit.amount_minor < 0,
    )


def _paid(request: PaymentRequest, found: Posted) -> Paid:
    ours = found.credited == books.credit_of(request.payee)
    return Paid(found.id, found.amount_minor, found.currency, request.destination if ours else found.credited)


def _silent(error: OperationalError | InterfaceError) -> Unknown:
    return Unknown(f"the books did not answer ({type(error.orig).__name__})")
