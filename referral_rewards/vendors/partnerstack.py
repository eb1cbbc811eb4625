"""PartnerStack: https://docs.partnerstack.com/docs/partnerstack-webhooks, partnerships, customers, leads, deals and
transactions.

Its documentation names no signature. Where a company's deliveries bear one, its header stands in the mapping; else the
address that PartnerStack calls ends in ``?token=`` and the secret.

Amounts are whole numbers in the smallest unit of the currency, moments are milliseconds since 1970. Rewards that
PartnerStack calculates are its own: here they are calculated by the program's terms.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from referral_rewards.domain import money
from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.facts.payloads import Channel, FactType
from referral_rewards.vendors.customers import about_person, is_new
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Field, Mode, Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.reading import part
from referral_rewards.vendors.signatures import check_secrets, json_object, same
from referral_rewards.vendors.values import first_moment, name, needed_name

#: The parameter of the address that holds the secret.
PARAMETER: Final = "token"
#: The stages in which a deal is won, beside those that the mapping names.
_USUAL_STAGES: Final[Mapping[str, str]] = {"won": "purchase", "closed_won": "purchase"}
_USUAL_KIND: Final = "purchase"
_NOTHING: Final = "0.00"

IGNORED: Final[Mapping[str, str]] = {
    "partnership.updated": "an enrolment stands as it was told; a partner's address is changed here",
    "customer.deleted": "what somebody bought stands",
    "lead.updated": "whether a lead is worth a reward is decided here",
    "lead.deleted": "an invitation stands; whoever takes it back says so: referral.withdrawn",
    "reward.created": "rewards are calculated here, by the program's terms",
    "reward.updated": "rewards are calculated here, by the program's terms",
    "action.created": "an action says nothing about money",
}
OTHER_EVENT: Final = "this event says nothing about a referral or an order"
NO_PARTNER: Final = "no partner referred them"
IS_TEST: Final = "it is a test"
IS_NO_TEST: Final = "it is no test, and this source takes tests alone"


class PartnerStack:
    """The vendor PartnerStack."""

    name = "partnerstack"
    headers: Sequence[str] = ()

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """Return if one of the secrets signed the body, or stands in the address. No stamp comes with it."""
        check_secrets(secrets)
        if mapping.header is None:
            given = parse_qs(urlsplit(request.url).query).get(PARAMETER, [""])
            if not same(secrets, given[:1]):
                raise NotGenuine("the address that was called has no token that is one of our secrets")
            return
        told = request.headers.get(mapping.header.lower(), "").strip().lower().removeprefix("sha256=")
        if not same([hmac.new(each.encode(), request.body, hashlib.sha256).hexdigest() for each in secrets], [told]):
            raise NotGenuine(f"{mapping.header} is not of this body by one of our secrets")

    def events(self, request: Told) -> Sequence[Told]:
        return (request,)

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        return _Event(json_object(event.body), mapping).read()


class _Event:
    """An event and the object that it is about, which stands in ``data`` or is the body itself."""

    def __init__(self, body: Mapping[str, Any], mapping: SourceMapping) -> None:
        self.type = (name(body, "event") or needed_name(body, "type")).replace("_", ".", 1)
        within = part(body, "data")
        self.object: Mapping[str, Any] = within if isinstance(within, Mapping) else body
        self.mapping = mapping
        self.key = name(self.object, "key") or name(self.object, "id") or ""

    def read(self) -> Reading:
        family, _, what = self.type.partition(".")
        what = "deleted" if what == "archived" else what
        if self.type in IGNORED or f"{family}.{what}" in IGNORED:
            return self.ignored(IGNORED[f"{family}.{what}"])
        if (self.object.get("test") is True) is not (self.mapping.mode is Mode.TEST):
            return self.ignored(IS_NO_TEST if self.mapping.mode is Mode.TEST else IS_TEST)
        readers = {
            "partnership.created": self._enrolled,
            "partnership.deleted": self._suspended,
            "customer.created": self._signed_up,
            "customer.updated": self._signed_up,
            "lead.created": self._sent,
            "deal.created": self._deal,
            "deal.updated": self._deal,
            "deal.deleted": self._deal,
            "transaction.created": self._paid,
            "transaction.updated": self._transaction_changed,
            "transaction.deleted": self._transaction_gone,
        }
        reader = readers.get(f"{family}.{what}")
        return self.ignored(OTHER_EVENT) if reader is None else reader()

    def ignored(self, why: str) -> Reading:
        return Reading(self._id, self.type, ignored=why)

    def _told(self, *facts: Mapping[str, Any]) -> Reading:
        return Reading(self._id, self.type, self.changed_at, facts)

    @property
    def _id(self) -> str:
        """PartnerStack numbers no events: an object as it stood at a moment is one."""
        moment = name(self.object, "updated_at") or name(self.object, "created_at") or ""
        return f"{self.type}/{self.key}/{moment}"

    @property
    def created_at(self) -> datetime:
        return first_moment(self.object, "created_at")

    @property
    def changed_at(self) -> datetime:
        return first_moment(self.object, "updated_at", "created_at")

    def _text(self, what: Field, usual: str | None = None) -> str | None:
        return self.mapping.text(what, self.object, usual)

    @property
    def _referrer(self) -> str | None:
        return self._text(Field.REFERRER, name(self.object, "partner_key") or name(self.object, "partnership_key"))

    @property
    def _program(self) -> str:
        if (program := self._text(Field.PROGRAM, self.mapping.program)) is not None:
            return program
        raise Unreadable("program", "is not known", "name the program of this source in its settings")

    def _person(self, within: object) -> Mapping[str, str | None]:
        """Return who an object of this vendor is about; answers to a form stand in ``field_data``."""
        form = part(within, "field_data")
        first = name(within, "contact_first_name") or name(within, "first_name")
        last = name(within, "contact_last_name") or name(within, "last_name")
        full_name = name(within, "name") or " ".join(filter(None, (first, last)))
        return {
            "customer": self._text(Field.CUSTOMER, name(within, "customer_key")),
            "email": self._text(Field.EMAIL, name(within, "email") or name(form, "email")),
            "phone": self._text(Field.PHONE, name(within, "phone") or name(form, "phone")),
            "name": self._text(Field.NAME, full_name),
            "country": self._text(Field.COUNTRY),
        }

    # Who refers

    def _enrolled(self) -> Reading:
        referrer = needed_name({"partner_key": self._referrer}, "partner_key")
        about = {"referrer": referrer, "program": self._program, "code": self._text(Field.CODE), "partner": referrer}
        data = {**about, **self._person(self.object)}
        said = f"partnership/{referrer}/enrolled"
        return self._told(fact(self.mapping.source, said, FactType.REFERRER_ENROLLED, self.created_at, data))

    def _suspended(self) -> Reading:
        referrer = needed_name({"partner_key": self._referrer}, "partner_key")
        data = {"referrer": referrer, "program": self._program, "reason": "is no partner at PartnerStack any more"}
        said = f"partnership/{referrer}/left/{self.changed_at.isoformat()}"
        return self._told(fact(self.mapping.source, said, FactType.REFERRER_SUSPENDED, self.changed_at, data))

    # Who was referred

    def _signed_up(self) -> Reading:
        if (referrer := self._referrer) is None:
            return self.ignored(NO_PARTNER)
        person = self._person(self.object)
        known = {**person, "customer": person["customer"] or self.key}
        data = {"program": self._program, "referrer": referrer, "channel": Channel.LINK}
        said = f"customer/{self.key}/claim/{referrer}"
        return self._told(about_person(self.mapping, said, FactType.REFERRAL_CLAIMED, self.created_at, data, known))

    def _sent(self) -> Reading:
        sent = self._lead("lead")
        return self.ignored(NO_PARTNER) if sent is None else self._told(sent)

    def _lead(self, family: str) -> Mapping[str, Any] | None:
        """Return the invitation that a partner's lead or deal is; None if no partner brought it."""
        if (referrer := self._referrer) is None:
            return None
        data = {"referral": self.key, "program": self._program, "referrer": referrer, "channel": Channel.LEAD}
        said = f"{family}/{self.key}/sent/{referrer}"
        person = self._person(self.object)
        return about_person(self.mapping, said, FactType.REFERRAL_SENT, self.created_at, data, person)

    # What it is worth

    def _deal(self) -> Reading:
        sent = self._lead("deal")
        told = [] if sent is None else [sent]
        stages, stage = {**_USUAL_STAGES, **self.mapping.kinds}, name(self.object, "stage") or ""
        if self.type.endswith(("deleted", "archived")) or stage not in stages:
            if not self.type.endswith("created"):
                told.append(self._worth(_NOTHING))
        else:
            amount, currency = self._amount()
            won_at = first_moment(self.object, "close_date", "updated_at", "created_at")
            told += [self._recorded(won_at, stages[stage], amount, currency), self._worth(amount)]
        return self._told(*told) if told else self.ignored(NO_PARTNER)

    def _paid(self) -> Reading:
        amount, currency = self._amount()
        word = self._text(Field.KIND, name(self.object, "category_key") or name(self.object, "product_key"))
        kind = self.mapping.kinds.get(word or "", _USUAL_KIND)
        return self._told(self._recorded(self.created_at, kind, amount, currency))

    def _transaction_changed(self) -> Reading:
        return self._told(self._worth(self._amount()[0]))

    def _transaction_gone(self) -> Reading:
        return self._told(self._worth(_NOTHING))

    def _recorded(self, at: datetime, kind: str, amount: str, currency: str) -> Mapping[str, Any]:
        buyer = part(self.object, "customer")
        person = self._person(buyer if isinstance(buyer, Mapping) else self.object)
        key = person["customer"] or self._text(Field.CUSTOMER, name(self.object, "customer_key"))
        data = {
            **self._place,
            "kind": kind,
            "amount": amount,
            "currency": currency,
            "new_customer": is_new(self.mapping, self.object),
            "coupon": self._text(Field.COUPON),
        }
        said = f"order/{self.key}/recorded/{amount}"
        return about_person(self.mapping, said, FactType.CONVERSION_RECORDED, at, data, {**person, "customer": key})

    def _worth(self, amount: str) -> Mapping[str, Any]:
        """Return what an order is worth from now on; of several the latest stands."""
        said, at = f"order/{self.key}/amount/{amount}/{self.changed_at.isoformat()}", self.changed_at
        return fact(self.mapping.source, said, FactType.CONVERSION_AMENDED, at, {**self._place, "amount": amount})

    @property
    def _place(self) -> Mapping[str, str | None]:
        usual = needed_name({"key": self.key or None}, "key")
        return {"order": self._text(Field.ORDER, usual), "store": self._text(Field.STORE, self.mapping.store)}

    def _amount(self) -> tuple[str, str]:
        """Return the amount of the object and its currency."""
        currency = self._text(Field.CURRENCY, name(self.object, "currency"))
        units = self._text(Field.AMOUNT_MINOR, name(self.object, "amount"))
        if currency is None:
            raise Unreadable("currency", "is missing", "map the currency of your account: currency: \"'USD'\"")
        if units is None or not units.removeprefix("-").isdecimal() or not units.isascii():
            raise Unreadable("amount", "is no whole number", "it should be in the smallest unit of the currency")
        if units.startswith("-"):
            raise Unreadable("amount", "takes money back and names no order", "tell refunds from the billing system")
        try:
            return money.written(money.from_minor(int(units), money.known_currency(currency.upper()))), currency.upper()
        except ValueError:
            raise Unreadable("currency", "is none of ISO 4217", "it should be a code such as USD") from None
