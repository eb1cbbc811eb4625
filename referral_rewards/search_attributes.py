"""The search attributes of a referral's workflow. The Temporal server must know them before the first start."""

from collections.abc import Collection
from typing import Final

from temporalio.common import SearchAttributeKey

STATUS = SearchAttributeKey.for_keyword("ReferralStatus")
PROGRAM = SearchAttributeKey.for_keyword("ReferralProgram")
ROUTE = SearchAttributeKey.for_keyword_list("ReferralRoute")
FLAGS = SearchAttributeKey.for_keyword_list("ReferralFlags")
DEADLINE = SearchAttributeKey.for_datetime("ReferralDeadline")
REWARD_MINOR = SearchAttributeKey.for_int("RewardMinor")

SEARCH_ATTRIBUTES = (STATUS, PROGRAM, ROUTE, FLAGS, DEADLINE, REWARD_MINOR)

# Names as the `temporal` command line spells the types.
TYPE_NAMES = {
    STATUS.name: "Keyword",
    PROGRAM.name: "Keyword",
    ROUTE.name: "KeywordList",
    FLAGS.name: "KeywordList",
    DEADLINE.name: "Datetime",
    REWARD_MINOR.name: "Int",
}

#: The namespace that the `temporal` command line means if none is named.
_DEFAULT_NAMESPACE: Final = "default"


def to_add(names: Collection[str], namespace: str = _DEFAULT_NAMESPACE) -> str:
    """Return the command that adds these search attributes to a namespace."""
    wanted = [f"--name {name} --type {kind}" for name, kind in TYPE_NAMES.items() if name in names]
    where = [] if namespace == _DEFAULT_NAMESPACE else [f"--namespace {namespace}"]
    return " ".join(["temporal operator search-attribute create", *wanted, *where])
