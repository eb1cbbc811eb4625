"""The conventions of a simulation, told with every answer: a figure without them would be read for more than it is."""

from referral_rewards.reporting.simulation.simulating import Proposal


def conventions(proposal: Proposal) -> list[str]:
    """What was taken for granted, a sentence or two each."""
    said = [
        "Each claim is judged at the moment at which it came before its approver, on what had happened by then: a"
        " refund after that, or a payment method set after it, is not seen.",
        _APPROVING_FLAGGED if proposal.approve_flagged else _LEAVING_FLAGGED,
        "Sources are asked nothing: every conversion on record counts as confirmed. Decisions of people are not"
        " replayed, and rewards of other programs count as they stand today.",
        "The new terms hold for every referral of the period, whatever day they name as effective_from.",
    ]
    if proposal.since is not None:
        said.append(
            "Referrals that began before the period are replayed under their own terms in both runs, for what they"
            " take of caps, tiers and budget; they are in no figure."
        )
    return said


_LEAVING_FLAGGED = (
    "What the rules recommend to approve counts as approved at once. What they flag counts as for a person: its amount"
    " is told as if approved, and it takes nothing of caps, tiers and budget."
)
_APPROVING_FLAGGED = (
    "What the rules recommend to approve counts as approved at once, and so does what they flag without advising"
    " against it: it costs, and takes its part of caps, tiers and budget."
)
