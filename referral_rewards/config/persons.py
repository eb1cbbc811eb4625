"""Settings of how long marks of erased persons, and what backups hold of them, are kept."""

from datetime import timedelta

from pydantic import BaseModel, Field

from referral_rewards.domain.persons.retention import DAYS_MAX, DAYS_MIN, Retention


class PersonSettings(BaseModel):
    """In days. The defaults are what tax law asks for at most of what was paid, and two years for the rest."""

    marks_paid_days: int = Field(
        default=3650,
        ge=DAYS_MIN,
        le=DAYS_MAX,
        description="Days after its end for which the marks of an erased person stay for a referral that paid a reward",
    )
    marks_unpaid_days: int = Field(
        default=730,
        ge=DAYS_MIN,
        le=DAYS_MAX,
        description="Days after its end for which the marks of an erased person stay for a referral that paid nothing",
    )
    backups_days: int = Field(
        default=400,
        ge=1,
        le=DAYS_MAX,
        description="Days after which no backup of the register exists any more: for so long Temporal keeps what was "
        "erased, so that a restored register erases it again",
    )

    def backups(self) -> timedelta:
        """Return how old a backup may become."""
        return timedelta(days=self.backups_days)

    def retention(self) -> Retention:
        """Return for how long marks of the erased stay."""
        return Retention(self.marks_paid_days, self.marks_unpaid_days)
