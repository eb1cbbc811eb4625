"""What a vendor's object says of a customer beside their name: whether they are new, and whose offer they claim."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from referral_rewards.domain.facts.ids import code_problem
from referral_rewards.domain.facts.payloads import PERSON_PART, Channel, FactType
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Field, SourceMapping, Unreadable


def claim(
    mapping: SourceMapping, within: object, said: str, at: datetime, person: Mapping[str, Any], **seen_with: str | None
) -> Iterator[Mapping[str, Any]]:
    """Yield the claim that ``person`` makes with the object; none if it carries nothing of a referral.

    What can be no code is left out: anybody may type it into an address, and it is not worth stopping an order for.

    Raises:
        Unreadable: if there is a code or a referrer, and nobody says of which program.
    """
    referral, referrer, code = (mapping.text(each, within) for each in (Field.REFERRAL, Field.REFERRER, Field.CODE))
    if code is not None and code_problem(code) is not None:
        code = None
    if referral is None and referrer is None and code is None:
        return
    program = mapping.text(Field.PROGRAM, within, mapping.program)
    if referral is None and program is None:
        raise Unreadable("program", "is not known", "name the program of this source in its settings")
    named = {"program": program, "referrer": referrer, "referrer_code": code if referrer is None else None}
    begun = {**named, "channel": Channel.LINK} if referral is None else {"referral": referral}
    yield about_person(mapping, said, FactType.REFERRAL_CLAIMED, at, {**begun, **seen_with}, person)


def is_new(mapping: SourceMapping, within: object) -> bool | None:
    """Return whether it is the customer's first order: by a truth, or by how many orders there are with this one.

    None if the company maps no path, or nothing stands there.

    Raises:
        Unreadable: if something else stands there.
    """
    found = mapping.find(Field.NEW_CUSTOMER, within)
    text = str(found).lower()
    if found is None or text in ("true", "false"):
        return None if found is None else text == "true"
    if text.isascii() and text.isdecimal():
        return int(text) <= 1
    raise Unreadable(Field.NEW_CUSTOMER, "is neither a truth nor a number of orders", "map it to one of them")


def about_person(
    mapping: SourceMapping, said: str, what: FactType, at: datetime, data: Mapping[str, Any], person: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a fact about a person, who may be nobody that the vendor knows: its order can be linked by hand."""
    who = PERSON_PART[what]
    made = fact(mapping.source, said, what, at, {**data, who: person})
    return {**made, "data": {who: {}, **made["data"]}}
