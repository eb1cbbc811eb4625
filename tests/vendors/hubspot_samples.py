"""Events of HubSpot's subscriptions in the form that it documents, and a deal as its API answers."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from referral_rewards.vendors.hubspot import HubSpot
from referral_rewards.vendors.port import Reading, SourceMapping, Told
from tests.vendors.reading import mapping

URL = "https://rewards.example/v1/webhooks/crm"
DEAL, CONTACT, PORTAL = 7001, 501, 4242
WON_AT, CHANGED_AT = "2026-07-10T14:00:00Z", "2026-07-10T14:05:00.250Z"
#: 12 July 2026, 09:30 UTC, in milliseconds.
OCCURRED = 1783848600000


def event(type_: str, **more: Any) -> dict[str, Any]:
    return {
        "eventId": 100,
        "subscriptionId": 11,
        "portalId": PORTAL,
        "appId": 55,
        "occurredAt": OCCURRED,
        "subscriptionType": type_,
        "attemptNumber": 0,
        "objectId": CONTACT if type_.startswith("contact") else DEAL,
        "changeSource": "CRM",
        **more,
    }


def changed(name: str, value: str, **more: Any) -> dict[str, Any]:
    return event("deal.propertyChange", propertyName=name, propertyValue=value, **more)


def deal(**properties: Any) -> dict[str, Any]:
    """A won deal, with its contact beside it."""
    usual = {"dealstage": "closedwon", "amount": "1200", "deal_currency_code": "USD", "closedate": WON_AT,
             "hs_lastmodifieddate": CHANGED_AT}  # fmt: skip
    who = {"email": "brie@example.com", "phone": "+14165550173", "firstname": "Brie", "lastname": "Cheese"}
    return {
        "id": str(DEAL),
        "properties": {**usual, **properties},
        "updatedAt": CHANGED_AT,
        "archived": False,
        "contact": {"id": str(CONTACT), "properties": {**who, "referral_code": "DEXTER"}},
    }


def told(body: Any) -> Told:
    return Told(json.dumps(body).encode(), url=URL)


def signed(request: Told, secret: str, stamp: int, url: str | None = None) -> Told:
    """The request as HubSpot would sign it for the address ``url``, which may be written otherwise."""
    parts = (request.method.encode(), (url or request.url).encode(), request.body, str(stamp).encode())
    signature = base64.b64encode(hmac.digest(secret.encode(), b"".join(parts), hashlib.sha256)).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": str(stamp)}
    return request._replace(headers=headers)


def read(body: Mapping[str, Any], its: SourceMapping | None = None) -> Reading:
    return HubSpot().read(told(body), its or mapping(source="crm"))


#: One of each event that the guide names.
SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "deal.propertyChange amount": changed("amount", "1350.5"),
    "deal.propertyChange dealstage, lost": changed("dealstage", "closedlost"),
    "deal.propertyChange dealstage, won": changed("dealstage", "closedwon"),
    "deal.propertyChange dealname": changed("dealname", "Cheese for all"),
    "deal.deletion": event("deal.deletion"),
    "deal.merge": event("deal.merge", primaryObjectId=DEAL, mergedObjectIds=[7002, 7003]),
    "deal.creation": event("deal.creation"),
    "deal.restore": event("deal.restore"),
    "deal.associationChange": event("deal.associationChange", objectId=None, fromObjectId=DEAL, toObjectId=CONTACT),
    "contact.creation": event("contact.creation"),
    "contact.propertyChange": event("contact.propertyChange", propertyName="email", propertyValue="b@example.com"),
    "contact.associationChange": event("contact.associationChange", fromObjectId=CONTACT, toObjectId=DEAL),
    "contact.merge": event("contact.merge", primaryObjectId=CONTACT, mergedObjectIds=[502]),
    "contact.deletion": event("contact.deletion"),
    "contact.restore": event("contact.restore"),
    "contact.privacyDeletion": event("contact.privacyDeletion"),
    "a deal, won": deal(),
    "a deal, not won": deal(dealstage="closedlost"),
}
