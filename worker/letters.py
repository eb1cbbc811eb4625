"""Prepares the letter of a message: whether to send it now, to whom, and with which content."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.notices import contact
from referral_rewards.domain.notices.contact import COURTESIES, TO_APPROVERS, WARNINGS, NoticeState, Template
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.notices.composing import AccountLetter, Written, compose, without_secrets
from referral_rewards.notices.port import Message
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.notices import status_links, surveys
from referral_rewards.register.notices.objections import address_of, objection
from referral_rewards.register.notices.rows import Audience, Notice
from referral_rewards.register.payees import method_notices
from referral_rewards.register.payouts import handovers
from referral_rewards.register.people import account_changes
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import open_case
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.reporting.referrals.letters import letter

#: Letters that carry the handover: the links or codes for the payee.
_HAND_OVER: Final = frozenset({Template.REWARDED})


@dataclass(frozen=True, slots=True)
class Ready:
    """A letter to send now, and the version without secrets that is recorded."""

    message: Message
    record: Written


@dataclass(frozen=True, slots=True)
class AtRest:
    """A message that will not be sent, and why."""

    state: NoticeState
    why: str


@dataclass(frozen=True, slots=True)
class HeldUntil:
    """A message that waits for the contact hours to open."""

    opens_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Home:
    """What the links in letters are made from: the installation's public address and the key of status page links."""

    public_url: str
    links_key: bytes = field(repr=False)


class Letters:
    """Writes letters. They show only decisions that ``keys`` verify, and link to ``home``."""

    def __init__(self, keys: KeyRing, home: Home) -> None:
        self._keys = keys
        self._home = home

    async def prepare(self, connection: AsyncConnection, notice: Notice, now: datetime) -> Ready | AtRest | HeldUntil:
        """Return the letter to send now, or why it is not sent, or when it may be sent."""
        if notice.audience == Audience.ACCOUNT:
            return await self._about_account(connection, notice)
        template = Template(notice.template)
        row = await referrals.row(connection, notice.referral_id)
        case = await open_case(connection, row, now, self._keys) if row is not None and row.status else None
        if row is None or row.status is None or case is None:
            return AtRest(NoticeState.SUPPRESSED, "Overtaken: the referral is not what it was.")
        if why := contact.overtaken(template, row.status):
            return AtRest(NoticeState.SUPPRESSED, why)
        if template in COURTESIES and (why := await objection(connection, case, Side(notice.audience))):
            return AtRest(NoticeState.SUPPRESSED, why)
        if template is Template.SATISFACTION_SURVEY and (why := await surveys.needless(connection, notice)):
            return AtRest(NoticeState.SUPPRESSED, why)
        if template not in TO_APPROVERS | WARNINGS and (opens_at := contact.opens_at(now, case.terms)):
            return HeldUntil(opens_at, "The program's contact hours are closed.")
        to = await _address(connection, template, notice)
        if to is None:
            return AtRest(NoticeState.UNDELIVERABLE, "no address is on record")
        link = self._link(notice, row)
        shown = await showing(connection, row.id, self._keys)
        handed = await handovers.of_side(connection, row.id, Side(notice.audience)) if template in _HAND_OVER else ()
        said = letter(notice, shown, case.terms, link, handed)
        written = compose(said)
        return Ready(Message(notice.id, to, *written), without_secrets(written, said))

    async def _about_account(self, connection: AsyncConnection, notice: Notice) -> Ready | AtRest:
        told = await account_changes.told(connection, notice.id)
        if told is None or told.address is None:
            return AtRest(NoticeState.UNDELIVERABLE, "no address is on record")
        link = f"{self._home.public_url}/account"
        written = compose(AccountLetter(template=notice.template, user=notice.recipient, change=told.what, link=link))
        return Ready(Message(notice.id, told.address, *written), written)

    def _link(self, notice: Notice, row: Referral) -> str:
        if notice.audience == Audience.APPROVERS:
            return f"{self._home.public_url}/claims/{quote(row.id)}"
        return self._home.public_url + status_links.path(self._home.links_key, row, Side(notice.audience))


async def _address(connection: AsyncConnection, template: Template, notice: Notice) -> str | None:
    """Return the recipient's address; a warning goes to the one that it was planned for."""
    if template in WARNINGS:
        return await method_notices.address(connection, notice.occasion)
    return await address_of(
        connection,
        Audience(notice.audience),
        notice.recipient,
        referral=notice.referral_id,
        program=notice.program,
    )
