"""The keys of personal data of registers that are measured, and how a past's personal data gets there sealed."""

from typing import Final
from uuid import UUID

import psycopg

from referral_rewards.personal import SALT_BYTES, PersonalKeys

KEY: Final = b"a key of 32 bytes, for measuring"
KEYS: Final = PersonalKeys([KEY])


async def seal(connection: psycopg.AsyncConnection, keys: PersonalKeys = KEYS) -> None:
    """Move what stands in the temporary table ``told_text`` (subject, text, commitment) to personal data, sealed."""
    name = connection.info.dsn
    async with await psycopg.AsyncConnection.connect(name, password=connection.info.password, autocommit=True) as into:
        await into.execute("SET session_replication_role = replica")
        async with (
            connection.cursor().copy("COPY told_text TO STDOUT (FORMAT binary)") as told,
            into.cursor().copy(
                "COPY personal_data (subject_id, sealed, commitment) FROM STDIN (FORMAT binary)"
            ) as kept,
        ):
            told.set_types(["uuid", "text", "text"])
            kept.set_types(["uuid", "bytea", "text"])
            async for subject, content, commitment in told.rows():
                assert isinstance(subject, UUID)
                salted = subject.bytes[:SALT_BYTES] + content.encode()
                await kept.write_row((subject, keys.seal(salted, of=subject.bytes), commitment))
