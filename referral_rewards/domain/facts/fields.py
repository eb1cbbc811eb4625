"""Which fields each type of fact has: the public ones, and those that stay with the personal data. What a type does not
have is kept and changes nothing, so intake warns of it (SPEC §3)."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from referral_rewards.domain.errors import perhaps
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.facts.intake_warnings import FactWarning, WarningKind
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, PAYLOADS, PERSON_PART, FactType, person_of
from referral_rewards.domain.web_addresses import PAID_CLICKS, PATH_FIELDS

#: What may be said of a person.
PERSON_FIELDS: Final = frozenset(
    {"customer", "email", "phone", "name", "address", "country", "device", "ip", "user_agent", "payment_fingerprint"}
)
#: Every fact may say in words why it is told.
_WORDS: Final = frozenset({"reason", "why", "note"})
_OF_AN_ORDER: Final = frozenset({"store"})
_SEEN_WITH: Final = frozenset({"device", "ip", "user_agent"})
#: The fields beside the public ones. A programmer who adds a type adds what it holds of persons here.
_BESIDE: Final[Mapping[FactType, frozenset[str]]] = {
    FactType.REFERRER_ENROLLED: PERSON_FIELDS,
    FactType.REFERRAL_CLAIMED: _SEEN_WITH | PAID_CLICKS | PATH_FIELDS,
    FactType.CONVERSION_RECORDED: _SEEN_WITH
    | _OF_AN_ORDER
    | {"payment_fingerprint", "items", "coupon", "country", "subscription"},
    **dict.fromkeys(ABOUT_AN_ORDER, _OF_AN_ORDER),
    FactType.CONVERSION_REPORTED: _OF_AN_ORDER,
    FactType.REWARD_REQUESTED: _OF_AN_ORDER,
    FactType.METHOD_SET: frozenset({"name"}),
}
_KNOWN: Final[Mapping[FactType, frozenset[str]]] = {
    each: frozenset(PAYLOADS[each].model_fields)
    | _WORDS
    | _BESIDE.get(each, frozenset())
    | ({PERSON_PART[each]} - {""} if each in PERSON_PART else set())
    for each in FactType
}
#: So many unknown fields of one fact are told one by one.
_TOLD_MAX: Final = 5
#: No field of ours has a name as long.
_NAME_MAX: Final = 60


def unknown_fields(fact_type: FactType, data: Mapping[str, Any]) -> Iterator[FactWarning]:
    """Yield a warning for each field that a fact of this type does not have there."""
    found = [("", name) for name in _lacking(data, _KNOWN[fact_type])]
    person = person_of(fact_type, data)
    if person is not None and person is not data:
        found += [(PERSON_PART[fact_type], name) for name in _lacking(person, PERSON_FIELDS)]
    yield from (_unknown_field(fact_type, within, _shown(name)) for within, name in found[:_TOLD_MAX])
    if len(found) > _TOLD_MAX:
        yield FactWarning(WarningKind.UNKNOWN_FIELD, "data", f"{fact_type} has none of the further fields")


def _lacking(part: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    return [] if part.keys() <= known else sorted(part.keys() - known)


def _shown(name: str) -> str:
    """Return a field's name, if it is one; else it may be somebody's address, or disturb a terminal."""
    return name if len(name) <= _NAME_MAX and id_problem(name) is None else "…"


@lru_cache(maxsize=1024)  # the same few names come with every fact of a sender, and finding the nearest takes long
def _unknown_field(fact_type: FactType, within: str, name: str) -> FactWarning:
    """Return the warning of a field of the data, or of the part ``within`` it that describes a person."""
    whose = "a person" if within else fact_type
    what = f"is no field of {whose} and changes nothing{_instead(fact_type, within, name)}"
    return FactWarning(WarningKind.UNKNOWN_FIELD, ".".join(filter(None, ("data", within, name))), what)


def _instead(fact_type: FactType, within: str, name: str) -> str:
    """Return what would be right, as the end of the sentence."""
    part = PERSON_PART.get(fact_type, "")
    if part and not within and name in PERSON_FIELDS:
        return f"; write it in data.{part}"
    return perhaps(name, PERSON_FIELDS if within else _KNOWN[fact_type])
