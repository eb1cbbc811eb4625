"""What a mapped answer about an order says: its version of the order, and the facts that we do not have yet.

All here is pure. A system's own JSON has no facts and no ids of them. So our record is not told again: both versions
are compared, and only what the system knows beyond ours becomes a fact, under an id derived from what is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import DisputeOutcome, FactType, ReversalKind
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer
from referral_rewards.domain.referrals.versions import UNKNOWN, WHOLE, OnRecord, Version, differences
from referral_rewards.sources.asking import Unusable
from referral_rewards.sources.mapped_values import Values, event
from referral_rewards.sources.mapping import OF_A_PERSON, MappedEndpoint, Part, State, Value
from referral_rewards.sources.news import news
from referral_rewards.vendors.envelope import fact

#: As the id of a reversal or dispute of which the system tells no id of its own.
_DISPUTE: Final = "disputed"
_REVERSED: Final = "reversed"
_ENDED: Final = "ended"


def read(
    name: str, endpoint: MappedEndpoint, order: OrderName, documents: tuple[Any, Any], on_record: OnRecord
) -> tuple[SourceAnswer, list[Event]]:
    """Return what a system answered, and what of it is new to us.

    Args:
        name: the source's name in the terms.
        documents: the decoded answers about the order and about its account; None where the system knows nothing, and
            for the account also where the mapping asks for none.

    Raises:
        Unusable: if an answer lacks what the mapping says.
    """
    its = _read(endpoint, order, documents)
    if its is None:
        return SourceAnswer(Answer.CONTRADICTED, f"It knows no order {order}.", name, theirs=UNKNOWN), []
    if endpoint.account is not None and documents[1] is None:
        why = f"It knows order {order}, and no account of it."
        return SourceAnswer(Answer.CONTRADICTED, why, name, theirs=its.version), []
    told = [event(each) for each in its.facts(endpoint.source, on_record)]
    facts = list(news(told, [each for each in on_record.facts if each.source == endpoint.source], on_record.ours))
    theirs = its.version
    mine = on_record.ours
    differing = differences(mine, theirs, on_record.until) if mine is not None else ()
    if differing:
        why = f"It knows order {order} differently: {'; '.join(differing)}."
        return SourceAnswer(Answer.CONTRADICTED, why, name, theirs=theirs), facts
    return SourceAnswer(Answer.CONFIRMED, f"It knows order {order}{its.in_words}.", name, theirs=theirs), facts


@dataclass(frozen=True, slots=True)
class _Order:
    """An order as a system tells it. ``amount`` and ``taken_back`` are decimals in ``currency``, None if it does not
    say; ``refunds`` are those that it lists, ``changed_at`` is when it came into its state."""

    name: OrderName
    state: State
    values: Values
    amount: Decimal | None
    currency: str | None
    taken_back: Decimal | None
    refunds: tuple["_Refund", ...] | None
    changed_at: datetime | None

    @property
    def version(self) -> Version:
        """Its version of the order."""
        return Version(
            amount=None if self.amount is None else money.written(self.amount),
            currency=self.currency,
            taken_back=None if (back := self._back) is None else money.written(back),
            disputed=self.state is State.DISPUTED,
            ended_at=self.changed_at if self.state.is_an_end else None,
        )

    @property
    def in_words(self) -> str:
        """What the answer's sentence says of it."""
        worth = f", {money.written(self.amount)} {self.currency}" if self.amount is not None else ""
        back = f"; {money.written(self._back)} of it was taken back" if self._back else ""
        state = {
            State.REVERSED: "; it was reversed",
            State.DISPUTED: "; it is disputed",
            State.ACCOUNT_CLOSED: "; its account was closed",
            State.SUBSCRIPTION_ENDED: "; its subscription ended",
        }
        return f"{worth}{state.get(self.state, back)}"

    @property
    def _back(self) -> Decimal | None:
        if self.state is State.REVERSED:
            return self.amount
        if self.taken_back is None:
            return None if self.refunds is None else self._listed
        return max(self.taken_back, self._listed)

    @property
    def _listed(self) -> Decimal:
        return sum((each.amount for each in self.refunds or ()), Decimal(0))

    def facts(self, source: str, on_record: OnRecord) -> Iterator[Mapping[str, Any]]:
        """Yield, as facts of ``source``, what our register lacks.

        Refunds are told only if they come to more than we know: another source may have told them under other ids.
        """
        if on_record.ours is None:
            yield self._record(source)
        if self._listed > (_taken(on_record.ours) or Decimal(0)):
            for each in self.refunds or ():
                yield self._fact(source, FactType.CONVERSION_REVERSED, f"refund/{each.id}", each.at, each.data(self))
        yield from self._reversals(source, on_record.ours)
        yield from self._disputes(source, on_record)
        if self.state.is_an_end:
            data = {"kind": ReversalKind.CANCELLATION.value, "reversal": _ENDED}
            yield self._fact(source, FactType.CONVERSION_REVERSED, _ENDED, self._changed, data)

    def _record(self, source: str) -> Mapping[str, Any]:
        values = self.values
        data = {
            "kind": values.needed(Value.KIND),
            "amount": None if self.amount is None else money.written(self.amount),
            "currency": self.currency,
            "new_customer": values.truth(Value.NEW_CUSTOMER),
            "customer": {each.value: values.text(each) for each in OF_A_PERSON},
        }
        return self._fact(source, FactType.CONVERSION_RECORDED, "recorded", values.moment(Value.TIME), data)

    def _reversals(self, source: str, ours: Version | None) -> Iterator[Mapping[str, Any]]:
        """Yield what was taken back beyond what we know: all of a reversed order, else the difference of the sums."""
        known = _taken(ours)
        if self.state is State.REVERSED:
            if known is None or (self.amount is not None and known < self.amount):
                data = {"kind": ReversalKind.REFUND.value, "reversal": _REVERSED}
                yield self._fact(source, FactType.CONVERSION_REVERSED, _REVERSED, self._changed, data)
        elif self.taken_back is not None:
            more = self.taken_back - max(known or Decimal(0), self._listed)
            if more > 0:
                its = f"taken-back-{money.written(self.taken_back)}"
                part = {
                    "kind": ReversalKind.REFUND.value, "reversal": its,
                    "amount": money.written(more), "currency": self.currency,
                }  # fmt: skip
                yield self._fact(source, FactType.CONVERSION_REVERSED, its, self._changed, part)

    def _disputes(self, source: str, on_record: OnRecord) -> Iterator[Mapping[str, Any]]:
        """Yield a dispute that we do not know to be open, and the end of one that this system itself told of."""
        if self.state is State.DISPUTED:
            if on_record.ours is None or not on_record.ours.disputed:
                its = f"{_DISPUTE}-{self._changed.isoformat()}"
                yield self._fact(source, FactType.DISPUTE_OPENED, its, self._changed, {"dispute": its})
            return
        outcome = DisputeOutcome.REFUNDED if self.state is State.REVERSED else DisputeOutcome.WON
        for its in sorted(_open_disputes(source, on_record)):
            data = {"dispute": its, "outcome": outcome.value}
            yield self._fact(source, FactType.DISPUTE_CLOSED, f"{its}/{outcome}", self._changed, data)

    @property
    def _changed(self) -> datetime:
        if self.changed_at is None:
            raise Unusable("Its answer does not say when the order changed: nothing stands at changed_at.")
        return self.changed_at

    def _fact(self, source: str, what: FactType, said: str, at: datetime, data: Mapping[str, Any]) -> Mapping[str, Any]:
        place = {"order": self.name.id, "store": self.name.store}
        return fact(source, f"order/{self.name.store or ''}/{self.name.id}/{said}", what, at, {**place, **data})


@dataclass(frozen=True, slots=True)
class _Refund:
    id: str
    amount: Decimal
    at: datetime

    def data(self, order: _Order) -> Mapping[str, Any]:
        """Return what its fact says."""
        return {
            "kind": ReversalKind.REFUND.value,
            "reversal": self.id,
            "amount": money.written(self.amount),
            "currency": order.currency,
        }


def _read(endpoint: MappedEndpoint, order: OrderName, documents: tuple[Any, Any]) -> _Order | None:
    part = endpoint.order
    found = part.object_in(documents[0]) if part is not None and documents[0] is not None else None
    if part is None or found is None:
        return None
    values = Values(part, found)
    if values.text(Value.ORDER) not in (None, order.id):
        raise Unusable(f"It was asked about order {order} and told of another one.")
    currency = values.text(Value.CURRENCY)
    refunds = None
    if part.items is not None:
        refunds = tuple(
            _Refund(each.needed(Value.ID), each.amount(Value.AMOUNT, currency, 0), each.moment(Value.TIME))
            for each in values.items(part.items)
        )
    its = _Order(
        name=order,
        state=values.state(),
        values=values,
        amount=values.amount(Value.AMOUNT, currency) if Value.AMOUNT in part.values else None,
        currency=currency,
        taken_back=values.amount(Value.TAKEN_BACK, currency, 0) if Value.TAKEN_BACK in part.values else None,
        refunds=refunds,
        changed_at=values.maybe_moment(Value.CHANGED_AT),
    )
    account = endpoint.account
    return its if account is None or documents[1] is None else _with_account(its, account, documents[1])


def _with_account(its: _Order, part: Part, document: Any) -> _Order:
    """Return the order in the state of its account, if that is over; what was taken back says more than that."""
    if (found := part.object_in(document)) is None:
        raise Unusable("Its answer about the account is empty.")
    values = Values(part, found)
    state = values.state()
    if not state.is_an_end or its.state in (State.REVERSED, State.DISPUTED):
        return its
    return replace(its, state=state, changed_at=values.moment(Value.CHANGED_AT))


def _taken(ours: Version | None) -> Decimal | None:
    """Return what we know to be taken back, of an order without an amount `Infinity`; None if nothing is known."""
    if ours is None or ours.taken_back is None:
        return None
    return Decimal("Infinity") if ours.taken_back == WHOLE else Decimal(ours.taken_back)


def _open_disputes(source: str, on_record: OnRecord) -> set[str]:
    """Return the disputes that this system told of before, and no end of them yet."""
    its = [fact for fact in on_record.facts if fact.source == source]
    opened = {str(fact.data.get("dispute")) for fact in its if fact.type is FactType.DISPUTE_OPENED}
    closed = {str(fact.data.get("dispute")) for fact in its if fact.type is FactType.DISPUTE_CLOSED}
    return {each for each in opened - closed if each.startswith(_DISPUTE)}
