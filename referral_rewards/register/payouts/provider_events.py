"""Events from providers: record each once, and wake the payout that it may concern to poll the provider."""

import hashlib
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.payouts.provider_events import ProviderEvent
from referral_rewards.domain.payouts.rail_catalogue import NAMELESS, RAILS_OF
from referral_rewards.domain.payouts.states import IN_DOUBT
from referral_rewards.register import outbox
from referral_rewards.register.outbox import WakeupKind


class Heard(NamedTuple):
    """The outcome of an event: whether it was new, and the payout that matches its references, if any."""

    new: bool
    payout: UUID | None


async def hear(connection: AsyncConnection, event: ProviderEvent, body: bytes, received_at: datetime) -> Heard:
    """Record an event in the caller's transaction. It changes no payout: the woken workflow asks the provider."""
    asked = {
        "payout": event.payout,
        "references": list(event.references),
        "rails": sorted(RAILS_OF[event.source]),
    }
    payout: UUID | None = (await connection.execute(_PAYOUT, asked)).scalar_one_or_none()
    row = {
        "source": event.source,
        "event_id": event.id,
        "kind": event.kind,
        "object_id": event.object_id,
        "payout": payout,
        "digest": hashlib.sha256(body).hexdigest(),
        "received_at": received_at,
    }
    new = (await connection.execute(_RECORD, row)).one_or_none() is not None
    woken = [payout] if payout is not None else []
    if payout is None and event.source in NAMELESS:
        woken = list((await connection.execute(_IN_DOUBT, asked)).scalars())
    for each in woken if new else []:
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(each), each)
    return Heard(new, payout)


# Matches by our id, by the provider's reference of the payment, or by its reference of the handover.
_PAYOUT: Final = text("""
SELECT p.id FROM payout p
WHERE p.rail = ANY(CAST(:rails AS text[]))
  AND (p.id = CAST(:payout AS uuid)
       OR p.provider_reference = ANY(CAST(:references AS text[]))
       OR p.id IN (SELECT h.payout_id FROM handover h WHERE h.reference = ANY(CAST(:references AS text[]))))
ORDER BY p.id = CAST(:payout AS uuid) DESC NULLS LAST, p.id LIMIT 1
""")

# The provider's reply to one of these may have been lost: the event is about one of them, or about no payout of ours.
_IN_DOUBT: Final = text(
    spelled(
        """
SELECT id FROM payout WHERE rail = ANY(CAST(:rails AS text[])) AND state IN :in_doubt
ORDER BY updated_at DESC, id LIMIT 20
""",
        in_doubt=IN_DOUBT,
    )
)

# An event that arrived before we knew the provider's reference of its payment counts as new once we know it.
_RECORD: Final = text("""
INSERT INTO provider_event (source, event_id, kind, object_id, payout_id, digest, received_at)
VALUES (:source, :event_id, :kind, :object_id, :payout, :digest, :received_at)
ON CONFLICT (source, event_id) DO UPDATE SET payout_id = excluded.payout_id
WHERE provider_event.payout_id IS NULL AND excluded.payout_id IS NOT NULL
RETURNING event_id
""")
