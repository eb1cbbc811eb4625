"""The digest: identifies exactly what a person decides on (SPEC §5).

SHA-256 over canonical JSON. It covers everything whose change a person would want to decide on again. It leaves out
times, raw scores, remaining caps and tax state, so that a re-check with the same result does not void a decision.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from referral_rewards.domain.claims.dossier import Rival


def digest_of(content: Mapping[str, Any] | list[str]) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of the content.

    Raises:
        TypeError: if it contains a float: two machines may write the same float differently.
    """
    _without_floats(content)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def dispute_digest(core_digest: str, competing: Iterable[Rival]) -> str:
    """Return the digest for one decision on a whole dispute: the same for each of its claims.

    Without competing claims it is the core digest itself. A claim not yet assembled is represented by its name, so that
    assembling it changes the digest.
    """
    others = [rival.core_digest or f"not assembled: {rival.referral}" for rival in competing]
    return digest_of(sorted([core_digest, *others])) if others else core_digest


def _without_floats(content: Any) -> None:
    if isinstance(content, float):
        raise TypeError(f"a float ({content}) must not enter a digest")
    for part in content.values() if isinstance(content, Mapping) else content if isinstance(content, list) else ():
        _without_floats(part)
