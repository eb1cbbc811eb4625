"""Whatever becomes of an order at Shopify, and in whatever order its events come: one state and the right amount."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import course
from tests.domain.build import acme, at, claimed, sent
from tests.vendors.reading import stored
from tests.vendors.shopify_samples import discrepancy, line, money, order, payment, read, refund, tax, taxed

TERMS = acme()
WHO = {"email": "brie@example.com"}
INVITED = [sent("2026-07-01", referee=WHO), claimed("2026-07-02", referee=WHO)]
NOW = at("2026-07-20")

_CENTS = st.integers(1, 9999)
_ADDED, _LINE, _MONEY, _CANCELLED = "added", "line given back", "money given back", "cancelled"
_CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just(_ADDED), _CENTS), st.tuples(st.just(_LINE), st.just(0)), st.tuples(st.just(_MONEY), _CENTS)
    ),
    max_size=4,
)


def _written(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


@dataclass
class Life:
    """An order, and the events that Shopify sends of it. Amounts are cents; a fifth of each line is tax."""

    taxes_included: bool
    lines: list[int]
    clock: datetime = datetime(2026, 7, 10, 14, 0, tzinfo=UTC)
    cancelled_at: str | None = None
    refunds: list[dict[str, Any]] = field(default_factory=list)
    given_back: int = 0

    def net(self) -> int:
        """What is left of it, without tax."""
        return 0 if self.cancelled_at else max(sum(map(self._worth, self.lines)) - self.given_back, 0)

    def whole(self) -> dict[str, Any]:
        self.clock += timedelta(hours=1)
        lines = [line(_written(each), tax_lines=tax(_written(each // 5))) for each in self.lines]
        return order(
            taxes_included=self.taxes_included,
            subtotal_price_set=money(_written(sum(self.lines))),
            line_items=lines,
            updated_at=self.clock.isoformat(),
            cancelled_at=self.cancelled_at,
            refunds=list(self.refunds),
            financial_status="partially_refunded" if self.refunds else "paid",
        )

    def change(self, kind: str, cents: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Change it, and yield the events of the change."""
        if kind == _ADDED:
            self.lines.append(cents)
        elif kind == _CANCELLED:
            self.cancelled_at = self.clock.isoformat()
            yield "orders/cancelled", self.whole()
        elif (made := self._refund(kind, cents)) is not None:
            self.refunds.append(made)
            yield "refunds/create", made
        yield "orders/updated", self.whole()

    def _refund(self, kind: str, cents: int) -> dict[str, Any] | None:
        its: dict[str, Any] = {"number": 60 + len(self.refunds), "processed_at": self.clock.isoformat()}
        if kind == _MONEY:
            self.given_back += cents
            adjusted = {"refund_line_items": [], "order_adjustments": discrepancy(f"-{_written(cents)}")}
            return refund(**its, **adjusted, transactions=[payment(_written(cents))])
        if len(self.refunds) >= len(self.lines):
            return None
        price = self.lines[len(self.refunds)]
        self.given_back += self._worth(price)
        paid = price if self.taxes_included else price + price // 5
        lines = taxed(_written(price), _written(price // 5))
        return refund(**its, refund_line_items=lines, transactions=[payment(_written(paid))])

    def _worth(self, price: int) -> int:
        return price - price // 5 if self.taxes_included else price


@given(st.booleans(), _CENTS, _CHANGES, st.booleans(), st.integers(0, 1000))
def test_an_order_ends_in_one_state_in_whatever_order_its_events_come(
    taxes_included: bool, first: int, changes: list[tuple[str, int]], is_cancelled: bool, seed: int
) -> None:
    life = Life(taxes_included, [first])
    events = [("orders/create", life.whole()), ("orders/paid", life.whole())]
    for kind, cents in [*changes, *([(_CANCELLED, 0)] if is_cancelled else [])]:
        events += life.change(kind, cents)
    shuffled = events * 2
    Random(seed).shuffle(shuffled)
    told, other = (stored(read(topic, body) for topic, body in each) for each in (events, shuffled))
    (conversion,) = conversions(told, INVITED[0].identity, TERMS)
    assert conversion.net_minor == life.net()
    assert conversion.conflicts == ()
    assert _state(told) == _state(other)


def _state(facts: Sequence[Fact]) -> tuple[Any, ...]:
    begun = origin([*INVITED, *facts], NOW)
    assert begun is not None
    found = course([*INVITED, *facts], TERMS, NOW, origin=begun)
    (conversion,) = conversions(facts, INVITED[0].identity, TERMS)
    return found.status, found.reason, found.deadline, conversion
