"""The digest: the name of exactly what a person decides on (SPEC §5).

SHA-256 over canonical JSON. Part of it is whatever a person would want to be asked about again; left out are times,
raw scores, remaining caps and tax state, so that a re-check which finds the same does not void a decision.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from referral_rewards.domain.claims.dossier import Rival


def digest_of(content: Mapping[str, Any] | list[str]) -> str:
    """SHA-256 (hex) of the canonical JSON of the content.

    Raises:
        TypeError: if a float is in it: two machines may spell one number in two ways.
    """
    _without_floats(content)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def dispute_digest(core_digest: str, competing: Iterable[Rival]) -> str:
    """What one decision on a whole dispute is made against: the same for each of its claims.

    Without competing claims it is the core digest itself. A claim not yet assembled stands in by its name, so that
    assembling it changes the digest.
    """
    others = [rival.core_digest or f"not assembled: {rival.referral}" for rival in competing]
    return digest_of(sorted([core_digest, *others])) if others else core_digest


def _without_floats(content: Any) -> None:
    if isinstance(content, float):
        raise TypeError(f"a float ({content}) must not enter a digest")
    for part in content.values() if isinstance(content, Mapping) else content if isinstance(content, list) else ():
        _without_floats(part)
