"""Which providers may file a tax form of their own for what they paid."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from referral_rewards.domain.payouts.rail_catalogue import PAYPAL_PAYOUTS, STRIPE_TRANSFER, TREMENDOUS


class Filer(NamedTuple):
    """What a provider does about the payments that it carried out. ``files``: it may file a form for them itself, so
    that ours could be a second one."""

    files: bool
    what: str
    source: str


#: By provider, as the providers' own pages said in November 2026. None of it was verified with an authority.
FILERS: Final[Mapping[str, Filer]] = {
    str(STRIPE_TRANSFER.provider): Filer(
        True,
        "files 1099 forms for connected accounts if the platform has set that up",
        "https://docs.stripe.com/connect/tax-reporting",
    ),
    str(PAYPAL_PAYOUTS.provider): Filer(
        True,
        "files Form 1099-K for what its account holder received for goods and services; whether a reward counts as such"
        " is for a tax adviser",
        "https://www.irs.gov/form1099k",
    ),
    str(TREMENDOUS.provider): Filer(
        False,
        "collects W-9 forms if that is switched on; the company itself issues 1099 forms",
        "https://help.tremendous.com/en/articles/collect-w-9-forms-from-recipients",
    ),
}
