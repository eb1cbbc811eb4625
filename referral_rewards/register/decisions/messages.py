"""The bytes of a decision that are hashed and signed. They never change: every signature on record covers them."""

import json
from typing import Any

from referral_rewards.domain.decisions.decision import Decision


def of_decision(decision: Decision, note_commitment: str, previous_hash: str, key_id: str) -> bytes:
    """Return the bytes that the signature of a decision covers."""
    return canonical(
        {
            "seq": decision.seq,
            "id": str(decision.id),
            "referral": decision.referral,
            "claim": str(decision.claim_id),
            "digest": decision.digest,
            "kind": decision.kind,
            "user": decision.user,
            "roles": sorted(decision.roles),
            "reason": decision.reason,
            "note": note_commitment,
            "decided_at": decision.decided_at.isoformat(),
            "previous": previous_hash,
            "key": key_id,
            # Left out if there are none, so that decisions from before this field existed still verify.
            **({} if decision.details is None else {"details": dict(decision.details)}),
        }
    )


def of_head(seq: int, hashed: str) -> bytes:
    """Return the bytes that the signature of the end of the chain covers."""
    return canonical({"head": seq, "hash": hashed})


def canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
