"""The connections of a node to PostgreSQL: transactions, what others have to tell, and that both may fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg  # type: ignore[import-untyped]

from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.queue.postgres.schema import SCHEMA, ensure_schema

if TYPE_CHECKING:
    from asyncpg import Connection, Pool

__all__ = ["Link", "unavailable"]

Result = TypeVar("Result")

#: Connections that are open at the most, beside the one that listens.
_CONNECTIONS: Final = 8
#: Seconds for a connection to be opened, and for a statement.
_CONNECTING: Final = 5.0
_PATIENCE: Final = 30.0
#: Milliseconds after which PostgreSQL gives a transaction up whose node says nothing more.
_SILENCE: Final = "30000"
#: The name by which nodes tell each other.
_CHANNEL: Final = SCHEMA
#: How often a transaction is tried that met others on its way.
_TRIES: Final = 5

#: What is no fault of a statement: the server is away, ends, starts, or is short of something.
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of an operation whose connection ends at the wrong moment
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
#: What two transactions may do to each other, and neither when it is tried again.
_MET: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ForeignKeyViolationError,
)


def unavailable(what: str, error: BaseException) -> QueueUnavailable:
    """What a node says that cannot reach what it shares with others."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, asyncpg.InternalClientError):
        reason = "the connection has ended"
    return QueueUnavailable(f"{what} cannot be used: {reason}")


class Link:
    """Connections to one database, opened when they are needed and again when they were lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Makes the tables where they are missing. Raises QueueUnavailable, WrongVersion."""
        try:
            connection = await self._connect()
            try:
                await ensure_schema(connection)
            finally:
                await connection.close(timeout=_CONNECTING)
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=_CONNECTIONS,
                timeout=_CONNECTING,
                command_timeout=_PATIENCE,
                server_settings=_SETTINGS,
                reset=_leave,
            )
        except (*_AWAY, asyncpg.PostgresError, ValueError) as error:
            raise unavailable("PostgreSQL", error) from error

    async def close(self) -> None:
        """Ends all connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _connect(self) -> Connection:
        return await asyncpg.connect(
            self._url, timeout=_CONNECTING, command_timeout=_PATIENCE, server_settings=_SETTINGS
        )

    async def run(
        self, work: Callable[..., Awaitable[Result]], *arguments: Any, is_synced: bool = False, **options: Any
    ) -> Result:
        """Has ``work(connection, *arguments, **options)`` done in a transaction, again where it met others; with
        `is_synced` it is on the disk afterwards, as far as the server is set up for that, and so is all that was
        committed before.

        Raises QueueUnavailable, after which it may have been committed or not; and what `work` raises.
        """

        async def call(connection: Connection) -> Result:
            return await work(connection, *arguments, **options)

        begin = "BEGIN" if is_synced else "BEGIN; SET LOCAL synchronous_commit TO off"
        try:
            for _ in range(_TRIES - 1):
                try:
                    return await self._once(begin, call)
                except _MET:
                    continue
            return await self._once(begin, call)
        except _AWAY as error:
            raise unavailable("PostgreSQL", error) from error

    async def _once(self, begin: str, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        assert self._pool is not None
        async with self._pool.acquire(timeout=_PATIENCE) as connection:
            try:
                await connection.execute(begin)
                result = await work(connection)
                await connection.execute("COMMIT")
            except BaseException:
                try:
                    await connection.execute("ROLLBACK", timeout=_CONNECTING)
                except Exception:
                    connection.terminate()
                raise
            return result

    @asynccontextmanager
    async def listening(self, told: Callable[[str], None], lost: Callable[[], None]) -> AsyncIterator[None]:
        """Calls `told` with what nodes tell each other, and `lost` when the connection ends.

        Raises QueueUnavailable.
        """
        try:
            connection = await self._connect()
        except (*_AWAY, asyncpg.PostgresError) as error:
            raise unavailable("PostgreSQL", error) from error
        try:
            connection.add_termination_listener(lambda _: lost())
            try:
                await connection.add_listener(_CHANNEL, lambda _connection, _pid, _channel, text: told(text))
            except _AWAY as error:
                raise unavailable("PostgreSQL", error) from error
            yield
        finally:
            connection.terminate()

    async def tell(self, texts: list[str]) -> None:
        """Tells all nodes, this one as well. Raises QueueUnavailable."""
        await self.run(_notify, texts)


_SETTINGS: Final = {
    "application_name": "aiodicom route",
    "search_path": SCHEMA,
    "idle_in_transaction_session_timeout": _SILENCE,
}


async def _notify(connection: Connection, texts: list[str]) -> None:
    await connection.execute("SELECT pg_notify($1, text) FROM unnest($2::text[]) text", _CHANNEL, texts)


async def _leave(_: object) -> None:
    """Nothing of a session outlasts its transactions."""
