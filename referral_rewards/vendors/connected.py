"""A source as one installation has connected it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from referral_rewards.domain.facts.rights import Rights, Teller
from referral_rewards.vendors.access import ApiAccess, Pull
from referral_rewards.vendors.port import Reading, SourceMapping, Told, Unreadable, Vendor


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

    def events(self, request: Told) -> Sequence[Told]:
        """See `Vendor.events`."""
        with _no_fault_loses_it():
            return self.vendor.events(request)

    def read(self, event: Told) -> Reading:
        """See `Vendor.read`."""
        with _no_fault_loses_it():
            return self.vendor.read(event, self.mapping)

    def kept_headers(self, request: Told) -> dict[str, str]:
        """Return the headers that reading an event again needs."""
        wanted = tuple(self.vendor.headers)
        return {name: value for name, value in request.headers.items() if name.startswith(wanted)} if wanted else {}


@contextmanager
def _no_fault_loses_it() -> Iterator[None]:
    """Has an event on which a translator fails, by a fault of ours, kept for a person like any that is unreadable:
    else its vendor would be refused for days, and then stop sending."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as fault:
        what = f"reading it failed ({type(fault).__name__})"
        raise Unreadable(
            "", what, "this is a fault of ours: report it, and read the event again after the repair"
        ) from fault
