"""What the tests of few statements count with: everything that reaches PostgreSQL, and nothing else."""

from sqlalchemy import text

from models.session import Database
from tests.statements import counted


async def test_what_is_sent_is_counted_whichever_way_it_goes(database_url: str) -> None:
    database = Database.at(database_url)
    try:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE counted (n int)"))
        with counted() as sent:
            async with database.transaction() as connection:
                await connection.execute(text("INSERT INTO counted VALUES (:n)"), [{"n": 1}, {"n": 2}])
                await connection.execute(text("SELECT n FROM counted"))
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None
                async with raw.cursor() as cursor:
                    await cursor.execute("SELECT 2")
                    async with cursor.copy("COPY counted FROM STDIN") as copy:
                        await copy.write_row((3,))
            async with database.transaction():
                pass
        assert [each.split()[0] for each in sent.statements] == ["INSERT", "INSERT", "SELECT", "SELECT", "COPY"], sent
        assert sent.commits == 2
        with counted() as nothing:
            pass
        assert nothing.statements == []
    finally:
        await database.close()
