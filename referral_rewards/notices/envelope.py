"""Builds the email of a message (RFC 5322), with the same content as plain text and as HTML."""

import re
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.notices.port import Message


class NoAddress(RequestInvalid):
    """The recorded address is not a valid email address."""


def envelope(message: Message, sender: str, at: datetime) -> EmailMessage:
    """Return the email. Its Message-ID derives only from the message's id, so that a repeat is recognised.

    Raises:
        NoAddress: if the recipient's address is not valid; a line break in it cannot add a header.
    """
    made = EmailMessage(policy=SMTP)
    made["From"] = address(sender)
    made["To"] = _bare(message.to)
    made["Subject"] = " ".join(message.subject.split())
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{message.id}@{made['From'].addresses[0].domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
    if message.unsubscribe is not None:
        made["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    made.set_content(message.text)
    made.add_alternative(message.html, subtype="html")
    return made


def address(text: str) -> Address:
    """Parse an address with an optional name before it: ``Acme <referrals@acme.example>``.

    Raises:
        NoAddress: if it is not valid.
    """
    named = _NAMED.fullmatch(text)
    return _bare(named["spec"], named["name"].strip('"')) if named else _bare(text)


def _bare(spec: str, name: str = "") -> Address:
    try:
        if not (name + spec).isprintable() or " " in spec or len(spec.encode()) > _ADDRESS_LENGTH_MAX:
            raise ValueError
        found = Address(display_name=name, addr_spec=spec)
        if not found.username or not found.domain:
            raise ValueError
    except (ValueError, HeaderParseError, IndexError):
        raise NoAddress("is no address that a letter could be sent to") from None
    return found


_NAMED: Final = re.compile(r"(?P<name>[^<>]*?) *<(?P<spec>[^<>]+)>")
#: The longest address that mail servers accept (RFC 5321).
_ADDRESS_LENGTH_MAX: Final = 254
