"""The audit's walk over the money: the chain of decisions first, then every payment, then what belongs to nothing."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import yaml
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.evidence import Span
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.loading import Means, evidence
from referral_rewards.audit.money import approvals, books, duplicates, receipts, refunds, seals, standing, strays
from referral_rewards.audit.money.about import finding
from referral_rewards.audit.money.chain import Chain
from referral_rewards.audit.money.loading import Scope, payments
from referral_rewards.audit.money.records import Payment
from referral_rewards.audit.parts import Examined, examine

#: What reading a record that somebody changed by hand may end in.
_UNREADABLE: Final = (
    *(TypeError, ValueError, AttributeError, ArithmeticError, LookupError, StopIteration),
    yaml.YAMLError,
)
#: How many payments are read a second time together.
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Audited:
    """A payment that was audited, what was found, and what each of its rewards was examined to be."""

    payment: Payment
    findings: tuple[Finding, ...]
    examined: tuple[Examined, ...] = ()


async def walked(connection: AsyncConnection, scope: Scope, means: Means) -> AsyncGenerator[Audited | Finding]:
    """Yield every payment in scope with what was found, and findings that are about no payment.

    ``connection`` must read one moment.
    """
    chain = Chain()
    async with aclosing(chain.findings(connection, means.keys)) as found:
        async for each in found:
            yield each
    together: list[Payment] = []
    async for payment in payments(connection, scope):
        together.append(payment)
        if len(together) == _AT_ONCE:
            for audited in await _audited(connection, together, chain, scope, means):
                yield audited
            together = []
    for audited in await _audited(connection, together, chain, scope, means):
        yield audited
    for others in (duplicates.findings, strays.findings):
        async with aclosing(others(connection, scope.program)) as found:
            async for each in found:
                yield each


async def _audited(
    connection: AsyncConnection, together: Sequence[Payment], chain: Chain, scope: Scope, means: Means
) -> list[Audited]:
    """Audit some payments: the money by its records, and the rewards by a second reading of the facts."""
    examined, unread = await _examined(connection, together, scope, means)
    legs = [leg for payment in together for leg in payment.paid]
    changed = await seals.findings(
        connection, {leg.claim_id for leg in legs}, {leg.referral_id for leg in legs}, means.marker
    )
    return [
        Audited(
            payment,
            (
                *_of(payment, chain),
                *_of_facts(payment, changed),
                *(each for its in examined.get(str(payment.payout.id), ()) for each in its.findings),
                *(finding(payment, Part.QUALIFYING_EVENT, what, f"payout {payment.payout.id}") for what in unread),
            ),
            tuple(examined.get(str(payment.payout.id), ())),
        )
        for payment in together
    ]


async def _examined(
    connection: AsyncConnection, together: Sequence[Payment], scope: Scope, means: Means
) -> tuple[Mapping[str, Sequence[Examined]], Sequence[str]]:
    """Return what the rewards of payments were examined to be, by payment; and why they could not be read."""
    found: defaultdict[str, list[Examined]] = defaultdict(list)
    referrals = {leg.referral_id for payment in together for leg in payment.paid}
    if not referrals:
        return found, ()
    ours = {payment.payout.id for payment in together}
    try:
        async for each in evidence(connection, Span(scope.program), means, sorted(referrals)):
            if each.reward.payout in ours:
                found[str(each.reward.payout)].append(examine(each))
    except _UNREADABLE as error:
        return found, (f"its facts can't be read as they stand ({type(error).__name__}: {error})",)
    return found, ()


def _of(payment: Payment, chain: Chain) -> Iterator[Finding]:
    for part, told in (
        (Part.SOURCE_ATTRIBUTION, standing.findings(payment)),
        (Part.DECISION_CHAIN, approvals.findings(payment, chain)),
        (Part.PROVIDER_RECEIPT, receipts.findings(payment)),
        (Part.LEDGER, books.findings(payment)),
        (Part.REFUND_STATUS, refunds.findings(payment)),
    ):
        try:
            yield from told
        except _UNREADABLE as error:
            what = f"its records can't be read as they stand ({type(error).__name__}: {error})"
            yield finding(payment, part, what, f"payout {payment.payout.id}")


def _of_facts(payment: Payment, changed: Mapping[str, Sequence[Finding]]) -> Sequence[Finding]:
    """Return what was changed in the facts of a payment's referrals and claims, each finding once."""
    owners = sorted({str(name) for leg in payment.paid for name in (leg.referral_id, leg.claim_id)})
    return tuple(dict.fromkeys(each for owner in owners for each in changed.get(owner, ())))
