"""An order at Shopify: whose it is, what it is called, and what it says when it is paid and when it changes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from referral_rewards.domain.facts import phones
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType, ReversalKind
from referral_rewards.vendors import shopify_amounts as amounts
from referral_rewards.vendors.customers import about_person, claim, is_new
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Field, SourceMapping
from referral_rewards.vendors.reading import part
from referral_rewards.vendors.values import first_moment, name, needed_name, objects

_PAID: Final = frozenset({"paid", "partially_refunded", "refunded"})
_USUAL_KIND: Final = "purchase"
#: An address with more parameters was not made by a link of ours.
_PARAMETERS_MAX: Final = 100


class Order:
    """An order of Shopify's, with its place in our facts."""

    def __init__(self, order: Mapping[str, Any], shop: str | None, mapping: SourceMapping) -> None:
        self.content, self.shop, self.mapping = order, shop, mapping
        self.within = {**order, "attributes": _attributes(order), "landing": _landing(order)}
        self.id = needed_name(order, "id")
        self.order = mapping.text(Field.ORDER, self.within, self.id) or self.id
        # An id of Shopify's is one in all its shops. A number of the company's own is one in its shop.
        store = mapping.store or (shop if Field.ORDER in mapping.paths else None)
        self.store = mapping.text(Field.STORE, self.within, store)
        self.placed_at = first_moment(order, "processed_at", "created_at")
        self.currency = needed_name(order, "currency")

    def text(self, what: Field, usual: Any = None) -> str | None:
        return self.mapping.text(what, self.within, usual)

    @property
    def links(self) -> Mapping[str, OrderName]:
        """What the order's refunds and disputes, which know only Shopify's id, belong to."""
        return {name_of(self.id): OrderName(self.order, self.store)} if is_renamed(self.mapping) else {}

    @property
    def place(self) -> Mapping[str, str | None]:
        return {"order": self.order, "store": self.store}

    @property
    def suffix(self) -> str:
        """What tells the fact of a refund that names the order apart from that of the refund's own event."""
        return f"/{self.order}" if is_renamed(self.mapping) else ""

    @property
    def is_cancelled(self) -> bool:
        return name(self.content, "cancelled_at") is not None

    @property
    def counts(self) -> bool:
        """Whether its state is certain: it is paid in full, or cancelled."""
        return self.is_cancelled or self.is_paid

    @property
    def is_paid(self) -> bool:
        return name(self.content, "financial_status") in _PAID

    @property
    def before_cancelled(self) -> "Order":
        """The order as it was before it was cancelled, if it was."""
        return Order({**self.content, "cancelled_at": None}, self.shop, self.mapping)

    @property
    def mark(self) -> str:
        """The name that is linked once it is told as paid."""
        return f"{name_of(self.id)} paid"


def told_when_paid(order: Order) -> Iterator[Mapping[str, Any]]:
    person = _person(order)
    amount = amounts.written(amounts.goods(order.content))
    data = {
        **order.place,
        "kind": _kind(order),
        "amount": amount,
        "currency": order.currency,
        "new_customer": is_new(order.mapping, order.within),
        "coupon": order.text(Field.COUPON, part(next(iter(objects(order.content, "discount_codes")), {}), "code")),
        "country": person.get("country"),
        "payment_fingerprint": order.text(Field.FINGERPRINT),
        **_seen_with(order),
    }
    said, at = f"order/{order.id}/paid/{amount}", order.placed_at
    yield about_person(order.mapping, said, FactType.CONVERSION_RECORDED, at, data, person)
    yield from claim(order.mapping, order.within, f"order/{order.id}/claim", at, person, **_seen_with(order))


def told_when_changed(order: Order, at: datetime) -> Iterator[Mapping[str, Any]]:
    amount = amounts.written(amounts.goods(order.content))
    data = {**order.place, "amount": amount, "currency": order.currency}
    said = f"order/{order.id}/amount/{amount}/{at.isoformat()}"
    yield fact(order.mapping.source, said, FactType.CONVERSION_AMENDED, at, data)
    if order.is_cancelled:
        cancelled_at = first_moment(order.content, "cancelled_at")
        data = {**order.place, "kind": ReversalKind.CANCELLATION, "reversal": f"cancellation-{order.id}"}
        said = f"order/{order.id}/cancelled"
        yield fact(order.mapping.source, said, FactType.CONVERSION_REVERSED, cancelled_at, data)


def _kind(order: Order) -> str:
    """Return the kind of conversion: by the sales channel (``web``, ``pos``), or by the company's own word."""
    kinds = order.mapping.kinds
    word = order.text(Field.KIND, name(order.content, "source_name")) or ""
    return kinds.get(word) or (word if word and Field.KIND in order.mapping.paths else _USUAL_KIND)


def _person(order: Order) -> Mapping[str, str | None]:
    customer, address = part(order.content, "customer"), _address(order.content)
    full_name = " ".join(filter(None, (name(customer, "first_name"), name(customer, "last_name"))))
    return {
        "customer": order.text(Field.CUSTOMER, name(customer, "id")),
        "email": order.text(Field.EMAIL, name(order.content, "email") or name(customer, "email")),
        "phone": order.text(Field.PHONE, name(order.content, "phone") or name(customer, "phone") or _phone(address)),
        "name": order.text(Field.NAME, full_name or name(address, "name")),
        "country": order.text(Field.COUNTRY, name(address, "country_code")),
    }


def _address(order: Mapping[str, Any]) -> Mapping[str, Any]:
    return part(order, "billing_address") or part(order, "shipping_address") or {}


def _phone(address: Mapping[str, Any]) -> str | None:
    """Return the number of an address with its country, if the address tells it."""
    number, country = name(address, "phone"), name(address, "country_code")
    return number if number is None or country is None else phones.in_e164(number, country) or number


def _seen_with(order: Order) -> Mapping[str, str | None]:
    client = part(order.content, "client_details")
    ip = order.text(Field.IP, name(order.content, "browser_ip") or name(client, "browser_ip"))
    return {"ip": ip, "user_agent": name(client, "user_agent")}


def is_renamed(mapping: SourceMapping) -> bool:
    """Whether the company's facts name an order otherwise than refunds and disputes of Shopify do."""
    return Field.ORDER in mapping.paths or Field.STORE in mapping.paths


def name_of(order: str) -> str:
    return f"shopify-order-{order}"


def _attributes(order: Mapping[str, Any]) -> Mapping[str, str]:
    pairs = ((name(each, "name"), name(each, "value")) for each in objects(order, "note_attributes"))
    return {key: value for key, value in pairs if key is not None and value is not None}


def _landing(order: Mapping[str, Any]) -> Mapping[str, str]:
    try:
        query = urlsplit(name(order, "landing_site") or "").query
    except ValueError:
        return {}
    return dict(parse_qsl(query, max_num_fields=_PARAMETERS_MAX)) if query.count("&") < _PARAMETERS_MAX else {}
