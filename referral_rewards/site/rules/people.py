"""What one side sees of the other, and which addresses and names are taken."""

import unicodedata
from typing import Final

from referral_rewards.domain.facts.identity import normal_email
from referral_rewards.domain.facts.ids import holds_unseen, tells_of_a_person

ADDRESS_LENGTH_MAX: Final = 254
NAME_LENGTH_MAX: Final = 40
_HIDDEN: Final = "•••"


def masked(email: str) -> str:
    """Return an address as the one who invited it recognises it, and nobody else: ``b•••@e•••.com``."""
    local, _, domain = email.strip().rpartition("@")
    name, _, ending = domain.rpartition(".")
    return f"{local[:1].lower()}{_HIDDEN}@{name[:1].lower()}{_HIDDEN}.{ending.lower()}"


def address_of(typed: str) -> str | None:
    """Return an email address as it is written to, or None if what was typed is none."""
    text = typed.strip()
    known = text.isprintable() and not any(map(str.isspace, text)) and len(text.encode()) <= ADDRESS_LENGTH_MAX
    if not known or text.count("@") != 1 or any(each in text for each in "<>,;:\"'()[]\\"):
        return None
    name, _, host = text.partition("@")
    labels = host.split(".")
    fine = name and len(labels) > 1 and all(labels) and not name.startswith(".") and not name.endswith(".")
    return text if fine and ".." not in name and normal_email(text) else None


def first_name(typed: str) -> str | None:
    """Return a first name as the other side may see it; empty if none was typed, None if it can't be one.

    A name holds no address, number or link: somebody could be led elsewhere by the letter that it stands in.
    """
    text = " ".join(unicodedata.normalize("NFC", typed).split())
    if len(text) > NAME_LENGTH_MAX or holds_unseen(text) or tells_of_a_person(text):
        return None
    allowed = all(each.isalpha() or unicodedata.category(each) in ("Mn", "Mc") or each in " '’-" for each in text)
    return text if allowed and text.count(" ") <= 2 else None
