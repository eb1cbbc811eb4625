"""A real mail server on loopback, which takes letters or misbehaves as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import AuthResult

from referral_rewards.notices.smtp import MailServer

SENDER = "Acme <referrals@acme.example>"


@dataclass
class Mailbox:
    """What came in, and what is answered: to RCPT, to DATA; ``None`` after DATA is a connection that breaks off."""

    letters: list[EmailMessage] = field(default_factory=list)
    to_recipient: list[str] = field(default_factory=list)
    to_data: list[str | None] = field(default_factory=list)
    tries: int = 0
    signed_in: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.to_recipient:
            return self.to_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.tries += 1
        read: Any = message_from_bytes(envelope.content, policy=default)
        self.letters.append(read)
        if self.to_data and (answer := self.to_data.pop(0)) != "250 OK":
            if answer is None:
                server.transport.abort()
                return "250 never sent"
            self.letters.pop()
            return answer
        return "250 OK"

    def authenticator(self, server: Any, session: Any, envelope: Any, mechanism: str, told: Any) -> AuthResult:
        self.signed_in.append(told.login + b":" + told.password)
        return AuthResult(success=told.password == b"right", handled=False)


@asynccontextmanager
async def mailbox(**how: Any) -> AsyncIterator[tuple[Mailbox, Callable[..., MailServer]]]:
    """The mailbox, and where it is; ``how`` goes to aiosmtpd."""
    box = Mailbox()
    if how.pop("signs_in", False):
        how |= {"authenticator": box.authenticator, "auth_required": True}
    loop = asyncio.get_running_loop()
    controller = UnthreadedController(box, hostname="127.0.0.1", port=0, loop=loop, **how)
    server = await loop.create_server(controller._factory_invoker, host="127.0.0.1", port=0)
    port = server.sockets[0].getsockname()[1]

    def at(**more: Any) -> MailServer:
        return MailServer(**{"host": "127.0.0.1", "port": port, "tls": False, "start_tls": False, **more})

    try:
        yield box, at
    finally:
        server.close()
        await server.wait_closed()
