"""Reads events of systems that we have no file for: as facts of ours, or by a company's own mapping.

Which fact an event becomes stands in the source's ``events``. Each value of the fact stands where its path says, or
under its own name in the event's data.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Field, Reading, SourceMapping, Unreadable
from referral_rewards.vendors.reading import part

_OURS: Final = frozenset(FactType)
#: The names of the people's part by type; the other types have none.
_PERSON: Final[Mapping[FactType, str]] = {
    FactType.REFERRAL_CLAIMED: "referee",
    FactType.CONVERSION_RECORDED: "customer",
}
_PERSONAL: Final = (Field.CUSTOMER, Field.EMAIL, Field.PHONE, Field.NAME)
#: The fields whose name in the fact is another one.
_NAMES: Final[Mapping[Field, str]] = {Field.CODE: "referrer_code"}
_FIELDS: Final[Mapping[FactType, tuple[Field, ...]]] = {
    FactType.CONVERSION_RECORDED: (
        *(Field.ORDER, Field.STORE, Field.KIND, Field.CURRENCY, Field.COUPON, Field.COUNTRY),
        *(Field.FINGERPRINT, Field.IP),
    ),
    FactType.CONVERSION_AMENDED: (Field.ORDER, Field.STORE, Field.CURRENCY),
    FactType.CONVERSION_REVERSED: (Field.ORDER, Field.STORE, Field.KIND, Field.CURRENCY, Field.REVERSAL),
    FactType.REVERSAL_FAILED: (Field.ORDER, Field.STORE, Field.REVERSAL),
    FactType.DISPUTE_OPENED: (Field.ORDER, Field.STORE, Field.DISPUTE, Field.CURRENCY),
    FactType.DISPUTE_CLOSED: (Field.ORDER, Field.STORE, Field.DISPUTE, Field.CURRENCY, Field.OUTCOME),
    FactType.REFERRAL_CLAIMED: (Field.REFERRAL, Field.PROGRAM, Field.REFERRER, Field.CODE),
}
_WITH_AMOUNT: Final = frozenset(_FIELDS) - {FactType.REVERSAL_FAILED, FactType.REFERRAL_CLAIMED}
#: What `events` of a source can name. The others are told in our own envelope.
MAPPED: Final = tuple(_FIELDS)


def read(name: str, kind: str, at: datetime | None, document: Mapping[str, Any], mapping: SourceMapping) -> Reading:
    """Return what an event says.

    Args:
        name: its id; the facts' ids derive from it, for such a system tells of no object of its own.
        document: the whole event, that paths are applied to; the usual places are under ``data``.
    """
    if document.get("specversion") == "1.0" and kind in _OURS:
        return Reading(name, kind, at, (document,))
    meant = mapping.events.get(kind)
    if meant is None:
        return Reading(name, kind, at, ignored="the mapping of this source has no fact for events of this type")
    try:
        told = fact(mapping.source, name, meant, _time(document, at, mapping), _data(meant, document, mapping))
    except Unreadable as error:
        raise error.of(name, kind) from None
    return Reading(name, kind, at, (told,))


def instant(value: object, where: str) -> datetime:
    """Return an instant of RFC 3339, or in seconds since 1970.

    Raises:
        Unreadable: if it is neither, or has no offset.
    """
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or found.tzinfo is None:
        raise Unreadable(where, "is no instant", "as 2026-06-01T14:00:00Z, or seconds since 1970")
    return found


def _time(document: Mapping[str, Any], at: datetime | None, mapping: SourceMapping) -> datetime:
    named = mapping.find(Field.TIME, document)
    if named is not None:
        return instant(named, Field.TIME)
    if at is None:
        raise Unreadable(Field.TIME, "is missing", "map a path that leads to the time of the event")
    return at


def _data(meant: FactType, document: Mapping[str, Any], mapping: SourceMapping) -> Mapping[str, Any]:
    said = {_NAMES.get(each, each.value): _text(each, document, mapping) for each in _FIELDS.get(meant, ())}
    data: dict[str, Any] = dict(said)
    if meant in _WITH_AMOUNT:
        data["amount"] = _amount(document, said.get("currency"), mapping)
    if meant is FactType.CONVERSION_RECORDED:
        data["kind"] = mapping.kinds.get(said["kind"] or "", said["kind"])
        data["new_customer"] = mapping.find(Field.NEW_CUSTOMER, document, part(document, "data", "new_customer"))
    if meant in _PERSON:
        data[_PERSON[meant]] = {each.value: _text(each, document, mapping) for each in _PERSONAL}
    return data


def _text(what: Field, document: Mapping[str, Any], mapping: SourceMapping) -> str | None:
    usual = {Field.PROGRAM: mapping.program, Field.STORE: mapping.store}.get(what)
    stands = part(document, "data", what.value)
    return mapping.text(what, document, usual if isinstance(stands, dict | list) or stands is None else stands)


def _amount(document: Mapping[str, Any], currency: str | None, mapping: SourceMapping) -> str | None:
    units = mapping.find(Field.AMOUNT_MINOR, document, part(document, "data", Field.AMOUNT_MINOR))
    if units is None:
        return mapping.text(Field.AMOUNT, document, part(document, "data", Field.AMOUNT))
    if not isinstance(units, int) or isinstance(units, bool):
        raise Unreadable(Field.AMOUNT_MINOR, "is no whole number", "an amount in the smallest unit of its currency")
    try:
        places = money.exponent(money.known_currency(currency or ""))
    except ValueError:
        raise Unreadable(Field.CURRENCY, "is none of ISO 4217", "a code such as USD beside amount_minor") from None
    return f"{Decimal(units).scaleb(-places):.{places}f}"
