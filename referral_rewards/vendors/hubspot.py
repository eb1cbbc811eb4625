"""HubSpot: https://developers.hubspot.com/docs/api/webhooks, deals and contacts.

An event names an object and, at most, one property with its new value. So events alone tell that a won deal is worth
another amount, or nothing any more; they can't tell that a deal was won, because they do not say for how much, in which
currency and by whom. For that the deal is fetched and sent to the same address, with its contact beside it
(`docs/guides/sources/hubspot.md`).

A deal may be won, lost and won again: of what it is worth the latest word stands, and a deal in any stage but a won one
is worth nothing.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from referral_rewards.domain import money
from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.vendors.customers import about_person, claim, is_new
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Field, Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.reading import part
from referral_rewards.vendors.signatures import check_secrets, check_stamp, json_object, same
from referral_rewards.vendors.values import as_told, decimal, document, first_moment, name, needed_name

SIGNATURE: Final = "x-hubspot-signature-v3"
STAMP: Final = "x-hubspot-request-timestamp"
#: What HubSpot writes plainly in the address that it signs.
_PLAIN: Final = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
#: Apps of the newer platform name the type of an object by its number.
_OBJECTS: Final = {"0-1": "contact", "0-3": "deal"}
#: The stage in which a deal of the usual pipeline is won, and what that is.
_USUAL_KINDS: Final[Mapping[str, str]] = {"closedwon": "purchase"}
_NOTHING: Final = "0.00"

#: How a deal that was fetched is called among the events.
FETCHED: Final = "deal"
#: Stands, with true, in a deal that we asked HubSpot's API for ourselves.
PULLED: Final = "pulled"
FETCH: Final = "HubSpot says no amount, currency and contact here: fetch the deal and send it to this address"
IGNORED: Final[Mapping[str, str]] = {
    "deal.creation": "a deal counts once it is won",
    "deal.restore": FETCH,
    "deal.associationChange": FETCH,
    "contact.creation": "a contact has bought nothing yet",
    "contact.propertyChange": "an order keeps the customer that it was recorded with",
    "contact.associationChange": FETCH,
    "contact.merge": "no fact says that two customers are one; their addresses still link their orders",
    "contact.deletion": "what somebody bought stands",
    "contact.restore": "what somebody bought stands",
    "contact.privacyDeletion": "whoever looks after personal data acts on it",
}
OTHER_EVENT: Final = "this event says nothing about a deal's worth"
OTHER_PROPERTY: Final = "this property says nothing about a deal's worth"
OTHER_AMOUNT: Final = "the amount of this source is another property"
CLEARED: Final = "the amount was emptied: what the deal is worth is not known"
OTHER_PORTAL: Final = "it is of an account that this source does not take"


class HubSpot:
    """The vendor HubSpot. Its secret is the client secret of the app that subscribes."""

    name = "hubspot"
    headers: Sequence[str] = ()

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """Return if one of the secrets signed method, address, body and stamp. Older signatures have no stamp: they
        are not taken."""
        check_secrets(secrets)
        stamp = request.headers.get(STAMP, "")
        signed = (request.method.encode(), _plain(request.url).encode(), request.body, stamp.encode())
        digests = (hmac.digest(secret.encode(), b"".join(signed), hashlib.sha256) for secret in secrets)
        right = [base64.b64encode(each).decode() for each in digests]
        if not same(right, [request.headers.get(SIGNATURE, "").strip()]):
            raise NotGenuine(_why(request))
        check_stamp(stamp[:-3], now, "X-HubSpot-Request-Timestamp")

    def events(self, request: Told) -> Sequence[Told]:
        found = document(request.body)
        if not isinstance(found, list):
            return (request,)
        return [request._replace(body=as_told(each)) for each in found]

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        content = json_object(event.body)
        if "subscriptionType" in content:
            return _of_event(content, mapping)
        if "properties" in content:
            return _of_deal(content, mapping)
        raise Unreadable("subscriptionType", "is missing", "send events of HubSpot, or a deal with its properties")


def _why(request: Told) -> str:
    """Return why no secret fits. Its sender learns the address that we read: another one is the usual mistake."""
    if not request.headers.get(SIGNATURE):
        return "X-HubSpot-Signature-v3 is missing; signatures of versions 1 and 2 are not taken"
    return (
        f"X-HubSpot-Signature-v3 is not of this request by one of our secrets; HubSpot signs the address too, which "
        f"has to be {request.url.partition('?')[0]}"
    )


def _plain(url: str) -> str:
    return _PLAIN.sub(lambda found: unquote(found[0]), url)


def _of_event(content: Mapping[str, Any], mapping: SourceMapping) -> Reading:
    event = _Event(content, mapping)
    if mapping.accounts and event.portal not in mapping.accounts:
        return event.ignored(OTHER_PORTAL)
    if event.type == "deal.propertyChange":
        return _changed(event)
    if event.type == "deal.deletion":
        return event.worth([event.object], _NOTHING)
    if event.type == "deal.merge":
        return event.worth(_merged(content), _NOTHING)
    return event.ignored(IGNORED.get(event.type, OTHER_EVENT))


class _Event:
    """An event of a subscription."""

    def __init__(self, content: Mapping[str, Any], mapping: SourceMapping) -> None:
        self.content, self.mapping = content, mapping
        self.type = _type(content)
        self.portal = name(content, "portalId") or ""
        ids = ("objectId", "primaryObjectId", "fromObjectId")
        self.object = next((found for each in ids if (found := name(content, each))), "")
        self.at = first_moment(content, "occurredAt")

    @property
    def id(self) -> str:
        """HubSpot does not promise that the number of an event is one of its kind."""
        its = (self.portal, self.type, self.object, name(self.content, "eventId"), name(self.content, "occurredAt"))
        return "/".join(each or "" for each in its)

    def ignored(self, why: str) -> Reading:
        return Reading(self.id, self.type, self.at, ignored=why)

    def worth(self, deals: Sequence[str], amount: str) -> Reading:
        """Return that each of these deals is worth this amount from now on."""
        return Reading(
            self.id, self.type, self.at, tuple(_worth(each, amount, self.at, self.mapping) for each in deals)
        )


def _changed(event: _Event) -> Reading:
    """Read the change of a deal's property."""
    deal, changed = needed_name(event.content, "objectId"), needed_name(event.content, "propertyName")
    value = name(event.content, "propertyValue")
    if changed == "dealstage":
        won = value is None or value in _kinds(event.mapping)
        return event.ignored(FETCH) if won else event.worth([deal], _NOTHING)
    if changed != "amount":
        return event.ignored(OTHER_PROPERTY)
    if Field.AMOUNT in event.mapping.paths:
        return event.ignored(OTHER_AMOUNT)
    if value is None:
        return event.ignored(CLEARED)
    return event.worth([deal], money.written(decimal(event.content, "propertyValue")))


def _merged(event: Mapping[str, Any]) -> Sequence[str]:
    """Return the deals that are no more: what they were worth is that of the one that is left."""
    left = name(event, "newObjectId") or needed_name(event, "primaryObjectId")
    listed = event.get("mergedObjectIds")
    ids = [str(each) for each in listed] if isinstance(listed, list) else []
    return sorted({needed_name(event, "primaryObjectId"), *ids} - {left})


def _type(event: Mapping[str, Any]) -> str:
    """Return the type of an event as ``deal.propertyChange``, also where the platform says ``object.``."""
    family, _, what = needed_name(event, "subscriptionType").partition(".")
    number = name(event, "objectTypeId")
    return f"{_OBJECTS.get(number or '', family) if family == 'object' else family}.{what}"


def _of_deal(deal: Mapping[str, Any], mapping: SourceMapping) -> Reading:
    """Read a deal as it was fetched, with the contact who bought beside it."""
    stage, gone = needed_name(deal, "properties", "dealstage"), deal.get("archived") is True
    changed = ("properties.hs_lastmodifieddate", "updatedAt")  # being deleted is no change
    its, at = needed_name(deal, "id"), first_moment(deal, *(("archivedAt",) if gone else ()), *changed)
    event_id = f"deal/{its}/{at.isoformat()}"
    merged = tuple(_worth(each, _NOTHING, at, mapping) for each in _merged_into(deal) if each != its)
    if gone or stage not in _kinds(mapping):
        return Reading(event_id, FETCHED, at, (_worth(its, _NOTHING, at, mapping), *merged))
    amount = _amount(mapping.text(Field.AMOUNT, deal, name(deal, "properties", "amount")))
    currency = mapping.text(Field.CURRENCY, deal, name(deal, "properties", "deal_currency_code"))
    if currency is None:
        right = "fetch it too, or map the currency of an account that has one: currency: \"'USD'\""
        raise Unreadable("properties.deal_currency_code", "is missing", right)
    person, won_at = _person(deal, mapping), first_moment(deal, "properties.closedate")
    data = {
        "order": its,
        "store": mapping.store,
        "kind": mapping.text(Field.KIND, deal, _kinds(mapping)[stage]),
        "amount": amount,
        "currency": currency,
        "new_customer": is_new(mapping, deal),
        "coupon": mapping.text(Field.COUPON, deal),
    }
    said = f"deal/{its}/won/{amount}"
    won = (
        about_person(mapping, said, FactType.CONVERSION_RECORDED, won_at, data, person),
        *claim(mapping, deal, f"deal/{its}/claim", won_at, person),
    )
    worth, mark = (_worth(its, amount, at, mapping), *merged), f"deal {its} won"
    links = {mark: OrderName(its, mapping.store)}
    if deal.get(PULLED) is True:
        return Reading(event_id, FETCHED, at, worth, links=links, once=won, mark=mark)
    return Reading(event_id, FETCHED, at, (*won, *worth), links=links)


def _merged_into(deal: Mapping[str, Any]) -> Sequence[str]:
    """Return the ids of the deals that are part of this one by now."""
    return sorted(filter(None, (name(deal, "properties", "hs_merged_object_ids") or "").split(";")))


def _worth(deal: str, amount: str, at: datetime, mapping: SourceMapping) -> Mapping[str, Any]:
    """Return what a deal is worth from a moment on; without a currency it is in the deal's."""
    data = {"order": deal, "store": mapping.store, "amount": amount}
    return fact(mapping.source, f"deal/{deal}/amount/{amount}/{at.isoformat()}", FactType.CONVERSION_AMENDED, at, data)


def _amount(told: str | None) -> str:
    if told is None:
        raise Unreadable(
            "properties.amount", "is missing", "a won deal needs its amount: enter it and send the deal again"
        )
    return money.written(decimal({"properties.amount": told}, "properties.amount"))


def _kinds(mapping: SourceMapping) -> Mapping[str, str]:
    """Return the stages in which a deal is won, each with the kind of conversion that it is."""
    return {**_USUAL_KINDS, **mapping.kinds}


def _person(deal: Mapping[str, Any], mapping: SourceMapping) -> Mapping[str, str | None]:
    contact = part(deal, "contact", "properties")
    full_name = " ".join(filter(None, (name(contact, "firstname"), name(contact, "lastname"))))
    usual = {
        Field.CUSTOMER: name(deal, "contact", "id"),
        Field.EMAIL: name(contact, "email"),
        Field.PHONE: name(contact, "phone"),
        Field.NAME: full_name,
        Field.COUNTRY: None,
    }
    return {field.value: mapping.text(field, deal, found) for field, found in usual.items()}
