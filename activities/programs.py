"""Programs: wake what the acts on one concern."""

from temporalio import activity

from activities.messages import ProgramPlace, ProgramProgress, ProgramRequest
from activities.moment import moment
from models.session import Database
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.program_life import waking
from referral_rewards.register.program_life.waking import Place


class Programs:
    """The activities of a program's life. They decide nothing: whatever is woken reads the signed acts itself."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    @activity.defn
    async def wake_page(self, request: ProgramRequest) -> ProgramProgress:
        """Wake the next referrals and payouts. If it is killed and run again, some are woken twice; it does no harm."""
        after = None if request.after is None else Place(request.after.began_at, request.after.referral)
        woken = await self._database.write(
            waking.wake_page, request.program, moment(request.now), self._keys, after, request.told
        )
        place = None if woken.after is None else ProgramPlace(began_at=woken.after.began_at, referral=woken.after.id)
        return ProgramProgress(after=place, told=woken.told, again_at=woken.again_at)
