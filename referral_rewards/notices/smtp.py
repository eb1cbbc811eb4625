"""Sends letters over SMTP, each on its own connection, or writes them to a folder."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from referral_rewards.notices.envelope import NoAddress, envelope
from referral_rewards.notices.port import Delivered, Later, Message, Outcome, Refused

#: The timeout of each step of the SMTP dialogue. A mail server may take its time over its checks.
_PATIENCE_SECONDS: Final = 20.0
#: The timeout of all steps together, as a multiple. After a postman's lease ends, another would send the letter again.
_PATIENCES_MAX: Final = 2.5
_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """The address of the mail server, and how to connect. Except to this machine, a password is only sent over an
    encrypted connection."""

    host: str
    port: int
    tls: bool  # from the first byte
    start_tls: bool  # requested and required
    user: str | None = None
    password: str | None = None

    @classmethod
    def at(cls, url: str) -> "MailServer":
        """Parse ``smtp://user:password@host:587`` or ``smtps://…``.

        Raises:
            ValueError: if the URL is not valid. The message quotes nothing of it.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must look like smtp://user:password@host:587 or smtps://user:password@host:465")
        try:
            port = parts.port or _PORTS[parts.scheme]
        except ValueError:
            raise ValueError("names a port that is none") from None
        tls = parts.scheme == "smtps"
        user, password = (unquote(each) if each else None for each in (parts.username, parts.password))
        return cls(parts.hostname, port, tls, not tls and not _is_here(parts.hostname), user, password)


class Smtp:
    """A mail server. ``trust`` is the TLS context; by default it is the system's."""

    def __init__(
        self,
        server: MailServer,
        sender: str,
        *,
        trust: ssl.SSLContext | None = None,
        patience_seconds: float = _PATIENCE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server = server
        self._sender = sender
        self._trust = trust
        self._patience_seconds = patience_seconds
        self._clock = clock

    async def send(self, message: Message) -> Outcome:
        """Send a letter. A fault of the recipient or the letter is a definitive refusal. A fault of the connection, the
        account or the sender is ours to fix, and is retried."""
        server = self._server
        try:
            made = envelope(message, self._sender, self._clock())
            async with asyncio.timeout(self._patience_seconds * _PATIENCES_MAX):
                await aiosmtplib.send(
                    made,
                    hostname=server.host,
                    port=server.port,
                    username=server.user,
                    password=server.password,
                    use_tls=server.tls,
                    start_tls=server.start_tls,
                    tls_context=self._trust or ssl.create_default_context(),
                    timeout=self._patience_seconds,
                )
        except NoAddress:
            return Refused("what is on record is no address")
        except SMTPRecipientsRefused as refusal:
            return _answered(refusal.recipients[0])
        except (SMTPDataError, SMTPRecipientRefused) as refusal:
            return _answered(refusal)
        except SMTPAuthenticationError as refusal:
            return Later(f"the mail server refused our sign-in with {refusal.code}")
        except SMTPResponseException as refusal:
            return Later(f"the mail server answered {refusal.code}")
        except (SMTPException, OSError, ValueError) as error:
            return Later(f"the mail server was not reached or broke off ({type(error).__name__})")
        return Delivered()


def _answered(refusal: SMTPResponseException) -> Outcome:
    """Return the outcome of a refusal. A 4xx is temporary. The server's text may contain the address and is not
    kept."""
    why = f"the mail server answered {refusal.code}"
    return Refused(why) if refusal.code >= 500 else Later(why)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MailFolder:
    """A folder with one .eml file per letter, readable by its owner only. Any mail program opens such a file."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, message: Message) -> Outcome:
        try:
            made = envelope(message, self._sender, datetime.now(UTC))
        except NoAddress:
            return Refused("what is on record is no address")
        whole = self._folder / f"{message.id}.eml"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = whole.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_bytes(made.as_bytes())
            fresh.replace(whole)
        except OSError as error:
            return Later(f"the folder for letters takes none ({type(error).__name__})")
        return Delivered()
