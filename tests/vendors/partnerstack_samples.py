"""Events of PartnerStack, with objects in the form of its API: amounts in cents, moments in milliseconds."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from referral_rewards.vendors.partnerstack import PartnerStack
from referral_rewards.vendors.port import Reading, SourceMapping, Told
from tests.vendors.reading import mapping

URL = "https://rewards.example/v1/webhooks/partners"
#: 10 July and 12 July 2026, noon UTC.
CREATED, UPDATED = 1783684800000, 1783857600000


def event(type_: str, of: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": type_, "data": dict(of)}


def _dated(**more: Any) -> dict[str, Any]:
    return {"created_at": CREATED, "updated_at": UPDATED, **more}


def partnership(**more: Any) -> dict[str, Any]:
    return _dated(key="part_1", partner_key="dexter", first_name="Dexter", last_name="Lab", email="dex@example.com",
                  group={"slug": "referral"}, **more)  # fmt: skip


def customer(**more: Any) -> dict[str, Any]:
    return _dated(**{"key": "cus_1", "customer_key": "c-brie", "email": "brie@example.com", "name": "Brie Cheese",
                     "partner_key": "dexter", "test": False, **more})  # fmt: skip


def lead(**more: Any) -> dict[str, Any]:
    return _dated(**{"key": "lead_1", "partner_key": "dexter", "approved": None,
                     "field_data": {"email": "brie@example.com", "phone": "+14165550173"}, **more})  # fmt: skip


def deal(**more: Any) -> dict[str, Any]:
    return _dated(**{"key": "deal_1", "partner_key": "dexter", "stage": "won", "amount": 120000, "currency": "USD",
                     "close_date": None, "contact_first_name": "Brie", "contact_last_name": "Cheese",
                     "field_data": {"email": "brie@example.com"}, **more})  # fmt: skip


def transaction(**more: Any) -> dict[str, Any]:
    return _dated(**{"key": "trans_1", "amount": 8000, "amount_usd": 8000, "currency": "USD",
                     "customer_key": "c-brie",
                     "customer": {"key": "cus_1", "email": "brie@example.com"}, "category_key": "pro",
                     **more})  # fmt: skip


def told(body: Mapping[str, Any], url: str = URL, **headers: str) -> Told:
    return Told(json.dumps(body).encode(), headers, url)


def signed(request: Told, secret: str) -> str:
    return hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()


def read(type_: str, of: Mapping[str, Any], its: SourceMapping | None = None) -> Reading:
    return PartnerStack().read(told(event(type_, of)), its or mapping(source="partners", program="acme-friends"))


#: One of each event that the guide names.
SAMPLES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "partnership.created": ("partnership.created", partnership()),
    "partnership.updated": ("partnership.updated", partnership()),
    "partnership.deleted": ("partnership.deleted", partnership()),
    "customer.created": ("customer.created", customer()),
    "customer.updated": ("customer.updated", customer()),
    "customer.deleted": ("customer.deleted", customer()),
    "lead.created": ("lead.created", lead()),
    "lead.updated": ("lead.updated", lead(approved=True)),
    "lead.deleted": ("lead.deleted", lead()),
    "deal.created": ("deal.created", deal(stage="qualified")),
    "deal.updated, won": ("deal.updated", deal()),
    "deal.updated, not won": ("deal.updated", deal(stage="lost")),
    "deal.deleted": ("deal.deleted", deal()),
    "transaction.created": ("transaction.created", transaction()),
    "transaction.updated": ("transaction.updated", transaction()),
    "transaction.deleted": ("transaction.deleted", transaction()),
    "reward.created": ("reward.created", {"key": "rwd_1"}),
    "reward.updated": ("reward.updated", {"key": "rwd_1"}),
    "action.created": ("action.created", {"key": "act_1"}),
}
