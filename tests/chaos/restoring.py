"""A register that is restored to an earlier moment of a schedule, while Temporal, the provider and the senders keep
what they know."""

import asyncio
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.service import RPCError

from referral_rewards.domain.restores.mark import lost
from referral_rewards.register import overdue
from referral_rewards.register.reconciliations import after_restore
from referral_rewards.register.restores import halting
from referral_rewards.register.restores import mark as marks
from referral_rewards.temporal import kept_mark
from tests.chaos.battered import Battered


@dataclass
class Backups:
    """The base backup that was taken last, and what restoring it must have led to.

    ``restores`` counts them; ``found`` is the number that the newest restore has on record at least, once the register
    lacks something of its mark or a person told of the restore.
    """

    world: Battered
    restores: int = 0
    found: int = 0
    taken_at: datetime | None = None
    _folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self._folder = self.world.cluster.data / "base-backup"

    async def take(self) -> None:
        """Takes a base backup while everything goes on."""
        at = datetime.now(UTC)
        shutil.rmtree(self._folder, ignore_errors=True)
        url = self.world.cluster.database_url
        tool = Path(self.world.cluster.postgres.program.command[0]).with_name("pg_basebackup")
        command = [str(tool), "-D", str(self._folder), "-X", "stream", "-c", "fast", "-d", url]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        if done.returncode:
            # The server was just down. Whoever takes backups tries again another day.
            self.world.note("no backup:", done.stderr.strip())
            return
        self.taken_at = at
        self.world.did["base backup"] += 1
        self.world.note("base backup taken")

    async def restore(self, *, by_the_guide: bool) -> None:
        """Puts the backup in the place of the register, and has the senders send again what they sent.

        By the guide the workers are stopped before and it is told; otherwise the register is exchanged under them, and
        only its mark can tell.
        """
        if self.taken_at is None:
            return
        world = self.world
        self.restores += 1
        world.did["restored by the guide" if by_the_guide else "restored under the workers"] += 1
        world.note("the register is restored to", self.taken_at, "by the guide" if by_the_guide else "untold")
        if by_the_guide:
            for worker in list(world.workers):
                await world.dismiss(worker)
        await world.cluster.crash(world.cluster.postgres, signal.SIGQUIT)
        await asyncio.to_thread(self._exchange)
        await world.cluster.start_postgres()
        await self._expect_to_be_found(told=by_the_guide)
        if by_the_guide:
            await self._tell(self.taken_at)
        await world.send(world.told)

    def _exchange(self) -> None:
        # The file system of little room stays where it is mounted.
        cluster = self.world.cluster.data / "postgres-data" / "postgres" / "cluster"
        owner = cluster.stat()
        for each in cluster.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        shutil.copytree(self._folder, cluster, dirs_exist_ok=True)
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(cluster)], check=True)

    async def _expect_to_be_found(self, *, told: bool) -> None:
        """Notes the number under which the restore must be on record in the end, if the register shows that it must."""
        world = self.world
        try:
            kept = await kept_mark(world.cluster.life.environment.client)
        except RPCError:
            return
        async with world.cluster.life.database.transaction() as connection:
            number = await marks.restores(connection)
            lacks = lost(kept, await marks.held(connection, kept)) if kept is not None else ()
        world.note("the register lacks", lacks or "nothing", "of its mark")
        if lacks or told:
            self.found = number + 1

    async def _tell(self, restored_to: datetime) -> None:
        async def told(connection: AsyncConnection) -> None:
            now = datetime.now(UTC)
            await halting.told(connection, restored_to, now, by="fay")
            await after_restore.reconcile(connection, restored_to, now, by="fay")
            await overdue.resync(connection)

        async def never() -> bool:
            return False

        await self.world.through(told, unless=never)
