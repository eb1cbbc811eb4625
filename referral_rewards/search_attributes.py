"""The search attributes of a referral's workflow. The Temporal server must know them before the first start."""

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
