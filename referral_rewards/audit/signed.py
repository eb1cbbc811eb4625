"""Whether people signed a decision: the bytes that a signature covers, written down once more (SPEC §6)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from referral_rewards.audit.evidence import Made

#: The public keys that are believed, by their ids.
Keys = Mapping[str, Ed25519PublicKey]


class DecisionRow(NamedTuple):
    """A decision as it stands on record, whoever wrote it."""

    seq: int
    id: UUID
    referral_id: str
    claim_id: UUID
    digest: str
    kind: str
    username: str
    roles: Sequence[str]
    reason: str
    note_commitment: str
    details: Mapping[str, Any] | None
    decided_at: datetime
    previous_hash: str
    hash: str
    key_id: str
    signature: str


def verified(row: DecisionRow, keys: Keys) -> Made | None:
    """The decision, if a key that is believed signed it as it stands; else None."""
    message = _signed(row)
    if hashlib.sha256(message).hexdigest() != row.hash or not _verifies(row, message, keys):
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
        details=row.details or {},
    )


def _verifies(row: DecisionRow, message: bytes, keys: Keys) -> bool:
    key = keys.get(row.key_id)
    if key is None:
        return False
    try:
        key.verify(bytes.fromhex(row.signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(row: DecisionRow) -> bytes:
    said: dict[str, object] = {
        "seq": row.seq,
        "id": str(row.id),
        "referral": row.referral_id,
        "claim": str(row.claim_id),
        "digest": row.digest,
        "kind": row.kind,
        "user": row.username,
        "roles": sorted(row.roles),
        "reason": row.reason,
        "note": row.note_commitment,
        "decided_at": row.decided_at.isoformat(),
        "previous": row.previous_hash,
        "key": row.key_id,
    }
    if row.details is not None:
        said["details"] = row.details
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
