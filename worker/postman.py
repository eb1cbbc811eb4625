"""The postman: delivers each planned message when it is due, and retries until it is delivered or has failed."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.notices.composing import Written
from referral_rewards.notices.port import Delivered, Later, Mailer, Message, Outcome, Refused
from referral_rewards.notices.webhook import Webhooks
from referral_rewards.register import outgoing_events
from referral_rewards.register.notices import rows as notices
from referral_rewards.register.notices.rows import Audience, Notice
from worker.letters import AtRest, HeldUntil, Letters, Ready

_log = structlog.get_logger("postman")

_BATCH: Final = 20
_AT_ONCE: Final = 8
#: Longer than any channel takes for a batch. If a postman dies, another one takes over its messages after this time.
_LEASE: Final = timedelta(minutes=3)
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=6)
#: With these pauses the last try is about three days after the first.
_TRIES_MAX: Final = 20


class Postman:
    """Delivers at least once, every time under the same id. Several may run: each takes messages that no other has.

    Nothing waits for it: a verdict or a decision is committed before its messages are sent. ``noted`` is told for whom
    each was, and what became of it this time.
    """

    def __init__(
        self,
        database: Database,
        letters: Letters,
        *,
        mail: Mailer | None,
        webhooks: Webhooks,
        pause: float,
        noted: Callable[[str, NoticeState], None] = lambda audience, state: None,
    ) -> None:
        self._database = database
        self._letters = letters
        self._mail = mail
        self._webhooks = webhooks
        self._pause = pause
        self._noted = noted

    async def turn(self) -> float:
        """Deliver what is due, and return the seconds until the next turn."""
        return 0.0 if await self.deliver(datetime.now(UTC)) else self._pause

    async def deliver(self, now: datetime) -> int:
        """Deliver the messages due at ``now``, up to a batch. Return how many were taken."""
        claimed = await self._database.write(notices.claim, now, lease=_LEASE, limit=_BATCH)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def carry_out(notice: Notice) -> None:
            async with slots:
                await self._carry_out(notice, now)

        await asyncio.gather(*map(carry_out, claimed))
        return len(claimed)

    async def _carry_out(self, notice: Notice, now: datetime) -> None:
        try:
            step = await self._prepared(notice, now)
            match step:
                case AtRest(state, why):
                    await self._settle(notice, state, why, now)
                case HeldUntil(opens_at, why):
                    await self._put_off(notice, opens_at, why, NoticeState.HELD, tried=False)
                case Ready(message, record):
                    await self._note(notice, await self._send(message), now, message.to, record)
                case dict():
                    await self._note(notice, await self._webhooks.post(notice.recipient, notice.id, step), now)
        except Exception as error:
            # One broken message must not hold up the others. It is retried, and reported as failed in the end.
            _log.warning("not_told", notice=str(notice.id), template=notice.template, error=type(error).__name__)
            await self._note(notice, Later(f"telling it broke ({type(error).__name__})"), now)

    async def _prepared(self, notice: Notice, now: datetime) -> Ready | AtRest | HeldUntil | dict[str, Any]:
        async with self._database.reading() as connection:
            if notice.audience == Audience.WEBHOOK:
                return await outgoing_events.event_of(connection, notice)
            return await self._letters.prepare(connection, notice, now)

    async def _send(self, message: Message) -> Outcome:
        return await self._mail.send(message) if self._mail else Refused("no mail server is connected")

    async def _note(
        self, notice: Notice, outcome: Outcome, now: datetime, to: str | None = None, record: Written | None = None
    ) -> None:
        """Record the outcome of an attempt. A letter at rest is kept with the personal data."""
        match outcome:
            case Delivered():
                await self._settle(notice, NoticeState.SENT, None, now, to, record)
            case Refused(why):
                await self._settle(notice, NoticeState.UNDELIVERABLE, why, now, to, record)
            case Later(why) if notice.attempts >= _TRIES_MAX:
                await self._settle(notice, NoticeState.FAILED, why, now, to, record)
            case Later(why):
                await self._put_off(notice, now + pause_after(notice.attempts), why, NoticeState.WAITING, tried=True)

    async def _put_off(self, notice: Notice, until: datetime, why: str, state: NoticeState, *, tried: bool) -> None:
        await self._database.write(notices.put_off, notice, until, why, state=state, tried=tried)
        self._noted(notice.audience, state)

    async def _settle(
        self,
        notice: Notice,
        state: NoticeState,
        why: str | None,
        now: datetime,
        to: str | None = None,
        record: Written | None = None,
    ) -> None:
        async def settled(connection: AsyncConnection) -> None:
            if await notices.settle(connection, notice, state, why, now) and record is not None:
                body = {"to": to, "subject": record.subject, "text": record.text}
                await notices.keep(connection, notice.id, body)

        await self._database.write(settled)
        self._noted(notice.audience, state)
        _log.info("told" if state is NoticeState.SENT else "not_told", notice=str(notice.id), template=notice.template,
                  state=state.value)  # fmt: skip


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after this many attempts: a minute, doubled each time, up to six hours."""
    doubled: int = 2 ** min(attempts - 1, 16)
    return min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE)
