"""A decision's row: what is stored of a decision with its signatures, and whether a row carries one that we believe."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.decision import Decision, Kind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions import messages
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.locks import dump

_MONEY_ACTS: Final = frozenset(act.value for act in MoneyAct)


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """A decision's row as anybody may have written it, with the hash of an earlier row that it links to."""

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
    linked_hash: str | None


def stored(decision: Decision, commitment: str, previous: str, signer: Signer) -> dict[str, Any]:
    """Return what is stored of a decision that follows the one with the hash ``previous``, with its signatures. The
    ``commitment`` is that of its note."""
    message = messages.of_decision(decision, commitment, previous, signer.key_id)
    hashed = hashlib.sha256(message).hexdigest()
    return {
        "seq": decision.seq,
        "id": decision.id,
        "referral": decision.referral,
        "claim_id": decision.claim_id,
        "digest": decision.digest,
        "kind": decision.kind,
        "username": decision.user,
        "roles": sorted(decision.roles),
        "reason": decision.reason,
        "details": None if decision.details is None else dump(dict(decision.details)),
        "at": decision.decided_at,
        "commitment": commitment,
        "previous_hash": previous,
        "hash": hashed,
        "key_id": signer.key_id,
        "signature": signer.sign(message),
        "head_signature": signer.sign(messages.of_head(decision.seq, hashed)),
        "event": "decision.recorded",
        "occasion": f"decision:{decision.id}",
    }


def verified(row: SignedDecision, keys: KeyRing) -> Decision | None:
    """Return the decision in a row if it links to an earlier row and a trusted key signed it; else None."""
    try:
        decision = Decision(
            seq=row.seq,
            id=row.id,
            referral=row.referral_id,
            claim_id=row.claim_id,
            digest=row.digest,
            kind=_kind(row.kind),
            user=row.username,
            roles=frozenset(Role(role) for role in row.roles),
            reason=row.reason,
            decided_at=row.decided_at,
            details=row.details,
        )
    except ValueError:
        return None
    message = messages.of_decision(decision, row.note_commitment, row.previous_hash, row.key_id)
    genuine = (
        row.previous_hash == row.linked_hash
        and hashlib.sha256(message).hexdigest() == row.hash
        and keys.verifies(row.key_id, message, row.signature)
    )
    return decision if genuine else None


def _kind(name: str) -> Kind:
    return MoneyAct(name) if name in _MONEY_ACTS else DecisionKind(name)
