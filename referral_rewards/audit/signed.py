"""Whether people signed a decision: the bytes that a signature covers, written down once more (SPEC §6)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from referral_rewards.audit.canonical import canonical
from referral_rewards.audit.evidence import Made

#: The public keys that are believed, by their ids.
Keys = Mapping[str, Ed25519PublicKey]


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision as it stands on record, whoever wrote it."""

    seq: int
    id: UUID
    referral_id: str
    claim_id: UUID
    digest: str
    kind: str
    username: str
    roles: tuple[str, ...]
    reason: str
    note_commitment: str
    details: Mapping[str, Any] | None
    decided_at: datetime
    previous_hash: str
    hash: str
    key_id: str
    signature: str
    position: int


def verified(row: DecisionRow, keys: Keys) -> Made | None:
    """The decision, if a key that is believed signed it as it stands; else None."""
    message = canonical(signed(row))
    if hashlib.sha256(message).hexdigest() != row.hash or not is_signed(keys, row.key_id, message, row.signature):
        return None
    return Made(
        seq=row.seq,
        id=row.id,
        listed=row.referral_id,
        subject=row.claim_id,
        digest=row.digest,
        kind=row.kind,
        user=row.username,
        roles=frozenset(row.roles),
        at=row.decided_at,
        position=row.position,
        details=row.details or {},
    )


def is_signed(keys: Keys, key_id: str, message: bytes, signature: str) -> bool:
    """Return whether a published key that is trusted made this signature."""
    try:
        keys[key_id].verify(bytes.fromhex(signature), message)
    except (KeyError, InvalidSignature, ValueError):
        return False
    return True


def signed(made: DecisionRow) -> Mapping[str, object]:
    """Return what the signature of a decision covers."""
    details: Mapping[str, object] = {} if made.details is None else {"details": made.details}
    return {
        "seq": made.seq,
        "id": str(made.id),
        "referral": made.referral_id,
        "claim": str(made.claim_id),
        "digest": made.digest,
        "kind": made.kind,
        "user": made.username,
        "roles": sorted(made.roles),
        "reason": made.reason,
        "note": made.note_commitment,
        "decided_at": made.decided_at.isoformat(),
        "previous": made.previous_hash,
        "key": made.key_id,
        **details,
    }
