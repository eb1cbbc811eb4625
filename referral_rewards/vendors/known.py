"""Every vendor that a source can be of, by the name in its configuration."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.vendors.port import Vendor

_ALL: Final[tuple[Vendor, ...]] = ()

VENDORS: Final[Mapping[str, Vendor]] = {vendor.name: vendor for vendor in _ALL}
