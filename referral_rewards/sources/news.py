"""What of a source's facts is new to us: what is known must change nothing, however often a source is asked."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Event, Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.versions import Version

#: What a verdict reads of a fact about an order. Two facts under one id that agree in these say the same.
_JUDGED: Final = ("order", "store", "kind", "amount", "currency", "reversal", "dispute", "outcome")
#: What makes two facts one, where the object tells no time of its change and so their ids differ.
_ONE_BY: Final[Mapping[FactType, tuple[str, ...]]] = {
    FactType.REVERSAL_FAILED: ("reversal",),
    FactType.DISPUTE_CLOSED: ("dispute", "outcome"),
}


def news(told: Iterable[Event], known: Iterable[Fact], ours: Version | None) -> Iterator[Event]:
    """Yield those of the told facts that are not on record yet, or that contradict what is.

    Args:
        known: the facts of the same source about the same order.
        ours: our version of the order. An amendment that repeats its amount is no news.
    """
    on_record = {fact.event_id: fact for fact in known}
    recorded = any(fact.type is FactType.CONVERSION_RECORDED for fact in on_record.values())
    essences = {essence for fact in on_record.values() if (essence := _essence(fact.type, fact.data)) is not None}
    for event in told:
        before = on_record.get(event.event_id)
        if before is not None:
            if _judged(before.data) != _judged(event.public):
                yield event
        elif event.type is FactType.CONVERSION_RECORDED and recorded:
            continue  # of a vendor whose ids name the amount: what it is worth now its amendment says
        elif event.type is FactType.CONVERSION_AMENDED and ours is not None and _repeats(event, ours):
            continue
        elif _essence(event.type, event.public) not in essences:
            yield event


def _judged(data: Mapping[str, Any]) -> list[Any]:
    said = {**data, "amount": _written(data.get("amount"))}
    return [said.get(name) for name in _JUDGED]


def _essence(what: FactType, data: Mapping[str, Any]) -> tuple[Any, ...] | None:
    names = _ONE_BY.get(what)
    return None if names is None else (what, *(data.get(name) for name in names))


def _repeats(event: Event, ours: Version) -> bool:
    currency = event.public.get("currency", ours.currency)
    return (_written(event.public.get("amount")), currency) == (ours.amount, ours.currency)


def _written(amount: str | None) -> str | None:
    return None if amount is None else money.written(money.parse_decimal(amount))
