"""Sends the letters of invitations. What becomes of each is decided when it is due, never when it is asked for: so
nobody learns from an answer, or from how long it took, whether an address is known here."""

from datetime import UTC, timedelta
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import structlog

from referral_rewards.notices.port import Delivered, Later, Message, Refused
from referral_rewards.site import facts, letters, rows
from referral_rewards.site.parts import Parts
from referral_rewards.site.pausing import step_by_step
from referral_rewards.site.product import Offer
from referral_rewards.site.rows import Invitation
from referral_rewards.site.rules.limits import LETTERS_TO_A_PERSON, Due, Fate, fate_of, pause_after

_log = structlog.get_logger("site")
_AT_ONCE: Final = 20
_ASKED_AGAIN_AFTER: Final = timedelta(minutes=2)


async def run(parts: Parts) -> None:
    """Send letters until cancelled."""
    await step_by_step(parts, "posting", step)


async def step(parts: Parts) -> bool:
    """Send what is due; return whether there may be more."""
    due = await parts.store.read(rows.due_invitations, parts.clock(), _AT_ONCE)
    for each in due:
        await _post(parts, each)
    if due:
        await parts.store.overwrite()
    return len(due) == _AT_ONCE


async def _post(parts: Parts, invitation: Invitation) -> None:
    now = parts.clock()
    offer = await parts.product.offer(invitation.program, now)
    due = Due(
        asked_at=invitation.asked_at,
        suppressed=await parts.store.read(rows.is_suppressed, invitation.mark),
        letters=await parts.store.read(rows.letters_to, invitation.mark, now - LETTERS_TO_A_PERSON.within),
        open=offer.open if offer and invitation.program in parts.programs else None,
        hours=offer.hours if offer else None,
    )
    fate = fate_of(due, now, ZoneInfo(offer.timezone) if offer else UTC)
    if fate is Fate.SEND and offer is not None:
        await _send(parts, invitation, offer)
    elif fate in (Fate.WAIT, Fate.SEND):
        await parts.store.write(rows.postpone, invitation.id, now + _ASKED_AGAIN_AFTER, tried=False)
    else:
        _log.info("invitation_not_sent", invitation=invitation.id, why=fate.value)
        await parts.store.write(rows.not_sent, invitation.id, fate.value)


async def _send(parts: Parts, invitation: Invitation, offer: Offer) -> None:
    """Send a letter. It has one id whatever the try: a server that took it twice can drop the second."""
    referrer = await parts.store.read(rows.referrer, invitation.program, invitation.customer)
    name = referrer.first_name if referrer else ""
    home = parts.settings.home_url()
    written = letters.invitation(parts.programs[invitation.program], offer, name, invitation, home)
    assert invitation.email is not None
    message = Message(
        id=uuid5(NAMESPACE_URL, invitation.id),
        to=invitation.email,
        subject=written.subject,
        text=written.text,
        html=written.html,
        unsubscribe=f"{home}/i/{invitation.id}/stop",
    )
    outcome = await parts.mailer.send(message) if parts.mailer else Later("there is no mail server")
    now = parts.clock()
    match outcome:
        case Delivered():
            await parts.store.write(rows.sent, invitation.id, facts.sent(parts.settings.source, invitation, now), now)
            parts.ring()
        case Refused():
            await parts.store.write(rows.not_sent, invitation.id, "refused")
        case Later():
            until = now + pause_after(invitation.tries + 1)
            await parts.store.write(rows.postpone, invitation.id, until, tried=True)
    _log.info("invitation_posted", invitation=invitation.id, outcome=type(outcome).__name__.lower())
