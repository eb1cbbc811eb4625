"""What each of our codes is called: the one place where a code becomes words for a person.

Every vocabulary maps the codes of one kind to labels in lower case, as they stand inside a sentence. Pages, letters,
the command line and sentences of the domain all take them from here, so that one thing has one name everywhere.
The words themselves stand in the files beside this one, by their subject.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from referral_rewards.domain.labels import (
    audit_log,
    books,
    claims,
    clawbacks,
    cycles,
    decisions,
    facts,
    notices,
    payees,
    payouts,
    people,
    programs,
    queue,
    referrals,
)

#: The files of words, each with ``WORDS`` of the codes that its noun has. No kind of code stands in two of them.
SUBJECTS: Final = (
    audit_log,
    books,
    claims,
    clawbacks,
    cycles,
    decisions,
    facts,
    notices,
    payees,
    payouts,
    people,
    programs,
    queue,
    referrals,
)

#: Each kind of code by its name, with the words of all its codes.
VOCABULARIES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {name: words for subject in SUBJECTS for name, words in subject.WORDS.items()}
)


def label(vocabulary: str, code: str | None) -> str:
    """What the code is called; a dash for none. A code that the vocabulary lacks is shown without its underscores.

    Codes that outsiders choose (kinds of conversion, names of sources) have no label of ours: they read as written.
    """
    if code is None:
        return "–"
    return VOCABULARIES[vocabulary].get(code) or code.replace("_", " ").replace(".", " ")


def labels(vocabulary: str, codes: Iterable[str]) -> list[str]:
    """What several codes of one kind are called, in their order."""
    return [label(vocabulary, each) for each in codes]


def effect_in_words(effect: str, why: str) -> str:
    """Return what became of a decision, and why if that says more: ``void: the claim changed``, ``carried out``."""
    became = label("effect", effect)
    return became if why == became else f"{became}: {why}"
