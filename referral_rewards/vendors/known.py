"""Every vendor that a source can be of, by the name in its configuration."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.vendors.cloud_events import CloudEvents
from referral_rewards.vendors.hubspot import HubSpot
from referral_rewards.vendors.partnerstack import PartnerStack
from referral_rewards.vendors.port import Vendor
from referral_rewards.vendors.shopify import Shopify
from referral_rewards.vendors.standard_webhooks import StandardWebhooks
from referral_rewards.vendors.stripe import Stripe

_ALL: Final[tuple[Vendor, ...]] = (CloudEvents(), HubSpot(), PartnerStack(), Shopify(), StandardWebhooks(), Stripe())

VENDORS: Final[Mapping[str, Vendor]] = {vendor.name: vendor for vendor in _ALL}
