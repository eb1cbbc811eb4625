"""One GET to a source within bounds: how long, how often, how much, and never elsewhere than where it was sent."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import httpx

#: The pauses before the second and the third try, and the time for one try from connecting to the last byte. Together
#: they give a source seven seconds to answer, because a judgement waits for it.
PAUSES: Final = (0.2, 0.5)
PATIENCE_SECONDS: Final = 2.0
#: Far more than any response about one order or one customer.
BODY_BYTES_MAX: Final = 1_000_000

_NOT_LET_IN: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


class Unusable(Exception):
    """A response that cannot be used. The message says why; ``again`` says whether a retry may help."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Asker:
    """Asks one source. The caller closes the client."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        headers: Mapping[bytes, bytes],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._client = client
        self._headers = dict(headers)
        self._patience_seconds = patience_seconds
        self._pauses = pauses

    async def get(self, url: str) -> bytes | None:
        """Return the body of a response, or None for a 404.

        Raises:
            Unusable: if a retry cannot help, or after the last try.
        """
        for pause in (*self._pauses, None):
            try:
                return await self._get_once(url)
            except Unusable as unusable:
                if pause is None or not unusable.again:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _get_once(self, url: str) -> bytes | None:
        try:
            # The client's own timeouts restart with each byte; this one does not.
            async with asyncio.timeout(self._patience_seconds):
                return await self._read(url)
        except Unusable:
            raise
        except Exception as error:
            # Not only httpx's errors: an invalid address can raise any exception.
            raise Unusable(f"It could not be reached ({type(error).__name__}).", again=True) from None

    async def _read(self, url: str) -> bytes | None:
        async with self._client.stream("GET", url, headers=self._headers, timeout=None) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            if not response.is_success:
                raise _refused(response)
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise Unusable("Its answer is too long to be one.")
            return body


def _refused(response: httpx.Response) -> Unusable:
    if response.status_code in _NOT_LET_IN:
        return Unusable(f"It answered {response.status_code}: our key is not accepted, or it may not read this.")
    again = response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return Unusable(f"It answered {response.status_code}.", again=again)
