"""A payee in clear, in the form in which a look at them is answered."""

from pydantic import Field

from referral_rewards.domain.payees.in_clear import Destination, InClear, Name
from referral_rewards.reporting.shape import GivenId, Instant, Shape


class NameInClear(Shape):
    """A name as a source told it; null if its text was erased."""

    name: str | None = Field(examples=["Dexter Miller"])
    erased: bool
    told_at: Instant
    source: str

    @classmethod
    def of(cls, name: Name) -> "NameInClear":
        return cls(name=name.name, erased=name.name is None, told_at=name.told.occurred_at, source=name.told.source)


class DestinationInClear(Shape):
    """A destination as a source told it.

    ``on_record`` is how payouts and redirects name it, ``in_clear`` what was told: null if its text was erased, or if
    the source told none. ``present`` is the one that the payee has on the rail now. ``name`` was told with it.
    """

    rail: str
    on_record: str
    in_clear: str | None = Field(examples=["DE02 1203 0000 0000 2020 51"])
    erased: bool
    name: str | None
    set_at: Instant
    source: str
    present: bool

    @classmethod
    def of(cls, its: Destination) -> "DestinationInClear":
        return cls(
            rail=its.rail,
            on_record=its.on_record,
            in_clear=its.in_clear,
            erased=its.erased,
            name=its.holder,
            set_at=its.told.occurred_at,
            source=its.told.source,
            present=its.present,
        )


class PayeeInClear(Shape):
    """A payee's names and destinations in clear, oldest first. That this person saw them is on record."""

    payee: GivenId
    seen_by: str
    seen_at: Instant
    why: str
    names: tuple[NameInClear, ...]
    destinations: tuple[DestinationInClear, ...]

    @classmethod
    def of(cls, found: InClear, seen_by: str, seen_at: Instant, why: str) -> "PayeeInClear":
        return cls(
            payee=found.payee,
            seen_by=seen_by,
            seen_at=seen_at,
            why=why,
            names=tuple(map(NameInClear.of, found.names)),
            destinations=tuple(map(DestinationInClear.of, found.destinations)),
        )
