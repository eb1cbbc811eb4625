"""What each measure is called, and its exact definition in words: desk, command line and guide say the same."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Definition(NamedTuple):
    """A measure's name for people, and what it counts and in which period."""

    name: str
    says: str


DEFINITIONS: Final[Mapping[str, Definition]] = {
    "claims_created": Definition(
        "claims created",
        "Reward claims that were first assembled in the period. A claim assembled again is no new one.",
    ),
    "claims_approved": Definition(
        "claims approved", "Claims whose approval reserved rewards in the period, also if they were cancelled since."
    ),
    "denied_by_rule": Definition(
        "denied by rule", "Claims that a rule of the terms closed in the period, such as an existing customer."
    ),
    "denied_by_decision": Definition("denied by decision", "Claims that a person denied in the period."),
    "waiting": Definition(
        "waiting", "Claims that were first assembled in the period and wait for approvers now, those on hold too."
    ),
    "exceptions": Definition(
        "exceptions", "Claims that first had any flag in the period. Each flag counts in the period that it first came."
    ),
    "disputed_attribution": Definition(
        "disputed attribution",
        "Claims of which two referrers each had a timely one. Won: this claim was approved. Lost: a decision named"
        " another or denied it. Lapsed: it closed for another reason.",
    ),
    "duplicate_claims": Definition(
        "duplicate claims", "Claims that were flagged as a duplicate in the period, and what they came to then."
    ),
    "conversion_to_settled": Definition(
        "conversion to settled", "For each reward whose payment settled in the period: since its conversion."
    ),
    "due_to_decided": Definition(
        "end of the return period to decided",
        "For each claim that was decided in the period: since its return period ended.",
    ),
    "decided_to_settled": Definition(
        "decided to settled", "For each reward whose payment settled in the period: since the last approval it took."
    ),
    "reward_cost": Definition(
        "reward cost",
        "Rewards whose payment settled in the period, what was taken back of these until now, and rewards that were"
        " approved in the period and are not paid yet.",
    ),
    "budget": Definition(
        "budget", "What the newest terms in force set for the whole program, and all that was signed in addition since."
    ),
    "budget_used": Definition(
        "used of the budget",
        "Rewards that were approved and neither cancelled nor taken back in full. One that was taken back in part"
        " counts as a whole.",
    ),
    "budget_spent": Definition("spent", "Rewards whose payment settled, less what was taken back of them."),
    "budget_approved": Definition("approved, not paid", "Rewards that were approved and are still owed."),
    "budget_waiting": Definition(
        "waiting for approvers", "The rewards of claims that wait for a decision now, those on hold too."
    ),
    "budget_expected": Definition(
        "in the return period",
        "The most that the terms promise for conversions whose return period runs, before caps and the budget. Where a"
        " rate depends on the number of rewards so far, the best one counts.",
    ),
    "budget_left": Definition("left", "The budget less what is used of it."),
    "budget_left_after_waiting": Definition(
        "left if what waits is paid", "What is left if every claim that waits for approvers is approved as it stands."
    ),
    "budget_left_after_all": Definition(
        "left if all is paid", "What is left if, besides, everything becomes due that is in its return period."
    ),
    "referred_revenue": Definition(
        "referred revenue",
        "What is left of the orders after refunds: of referrals that were rewarded in the period, and of all whose"
        " conversion occurred in it.",
    ),
    "referrer_satisfaction": Definition(
        "referrer satisfaction",
        "Referrers who were asked in the period, a day after a reward or a denial, and how many of these answered"
        " since; and the scores, from 1 to 5, that were given in it.",
    ),
    "funnel": Definition("funnel", "Of the referrals that began in the period: how many came how far until now."),
    "lifetime_value": Definition(
        "lifetime referral value",
        "What the referees of a referrer bring less what their rewards cost. Revenue is what is left of all their"
        " orders after refunds, from the one that was rewarded on, later ones included; only of referees for whom a"
        " reward was paid. Cost is what was settled less what was taken back. A month counts the referrers whose first"
        " referral began in it.",
    ),
    "refund_rate": Definition(
        "refund rate", "The share of the conversions in the period of which something was refunded or reversed since."
    ),
    "cost_per_acquired_customer": Definition(
        "cost per acquired customer",
        "What was settled in the period less what was taken back of it, for each referral rewarded in the period.",
    ),
}
