"""A source as one installation has connected it."""

from dataclasses import dataclass, field
from datetime import datetime

from referral_rewards.domain.facts.rights import Rights, Teller
from referral_rewards.vendors.access import ApiAccess, Pull
from referral_rewards.vendors.port import Reading, SourceMapping, Told, Vendor


@dataclass(frozen=True, slots=True)
class ConnectedSource:
    """One source: its vendor, its secrets, how it is read, and which facts it may tell; its API and how often it is
    pulled, if it is."""

    name: str
    vendor: Vendor
    mapping: SourceMapping
    rights: Rights
    secrets: tuple[str, ...] = field(default=(), repr=False)
    api: ApiAccess | None = None
    pull: Pull | None = None

    @property
    def teller(self) -> Teller:
        """Who tells its facts. No user has such a name."""
        return Teller(f"source {self.name}", None, self.rights)

    def verify(self, request: Told, now: datetime) -> None:
        """See `Vendor.verify`."""
        self.vendor.verify(self.secrets, request, self.mapping, now)

    def read(self, event: Told) -> Reading:
        """See `Vendor.read`."""
        return self.vendor.read(event, self.mapping)

    def kept_headers(self, request: Told) -> dict[str, str]:
        """Return the headers that reading an event again needs."""
        wanted = tuple(self.vendor.headers)
        return {name: value for name, value in request.headers.items() if name.startswith(wanted)} if wanted else {}
