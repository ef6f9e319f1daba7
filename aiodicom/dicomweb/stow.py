"""Store Instances over the web (STOW-RS, PS3.18 10.5), as user agent."""

from __future__ import annotations

import json
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import aiohttp

from aiodicom.dicomweb.multipart import Part, Related
from aiodicom.errors import ConnectFailed, ConnectionLost, DeadlineExceeded, LocalError, ProtocolViolation, WebRefused

if TYPE_CHECKING:
    from yarl import URL

    from aiodicom.net.sources import Buffer

__all__ = ["StoreResponse", "StowClient", "WebInstance"]

_DICOM: Final = "application/dicom"
_JSON: Final = "application/dicom+json"

#: Bytes of a response that are read: a store instances response has some 300 for each instance.
_MOST: Final = 4 << 20

#: Attributes of the Store Instances Response Module (PS3.18 table I.2-1).
_REFERENCED_SOP_SEQUENCE, _FAILED_SOP_SEQUENCE = "00081199", "00081198"
_REFERENCED_SOP_INSTANCE_UID, _WARNING_REASON, _FAILURE_REASON = "00081155", "00081196", "00081197"

#: Makes the value of an Authorization header field, such as ``Bearer ...``; asked again after 401.
Authorize = Callable[[], Awaitable[str]]


class WebInstance(NamedTuple):
    """An instance to store: a DICOM file (PS3.10), in pieces."""

    sop_instance_uid: str
    #: Bytes of the whole file, preamble and file meta information included.
    size: int
    content: Callable[[], AsyncIterator[Buffer]]


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """What became of each instance, by SOP Instance UID (PS3.18 10.5.3)."""

    #: Stored as they are.
    stored: frozenset[str] = frozenset()
    #: Stored, with a Warning Reason (0008,1196).
    warnings: Mapping[str, int] = field(default_factory=dict)
    #: Not stored, with a Failure Reason (0008,1197).
    failures: Mapping[str, int] = field(default_factory=dict)


class StowClient:
    """Stores instances at an origin server: `url` is its base, to which ``/studies`` is added.

    `authorize` is asked for the Authorization header field before the first request, and again when the server answers
    401. At most `connections` are open at a time; a request ends with `DeadlineExceeded` after `timeout` seconds
    without progress. To be entered, or closed by hand.
    """

    def __init__(
        self,
        url: str,
        *,
        authorize: Authorize | None = None,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | None = None,
        connections: int = 8,
        timeout: float = 60.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise LocalError(f"{url!r} is no URL of an origin server: it begins with http:// or https://")
        self._url = url.rstrip("/") + "/studies"
        self._authorize = authorize
        self._authorization: str | None = None
        self._headers = dict(headers or {})
        self._ssl = ssl
        self._connections = connections
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def store(self, instances: Sequence[WebInstance]) -> StoreResponse:
        """Stores instances by one request, which has to hold them all.

        Raises `WebRefused` when the server stored none and says so by its HTTP status alone, `ConnectFailed`,
        `ConnectionLost`, `DeadlineExceeded`; `ProtocolViolation` for an answer that cannot be understood. Cancelled,
        the connection is closed, and the server may have stored them.
        """
        body = Related([Part(_DICOM, each.size, each.content) for each in instances])
        has_asked = False
        while True:
            if self._authorize is not None and self._authorization is None:
                self._authorization = await self._authorize()
                has_asked = True
            try:
                answer = await self._post(body)
            except WebRefused as error:
                if error.status != HTTPStatus.UNAUTHORIZED or self._authorize is None or has_asked:
                    raise
                self._authorization = None
            else:
                return _read(answer, [each.sop_instance_uid for each in instances])

    async def _post(self, body: Related) -> bytes | None:
        """The body of a response that tells of instances; None where all were stored without a word."""
        headers = {
            **self._headers,
            "Content-Type": body.content_type,
            "Content-Length": str(body.size),
            "Accept": _JSON,
        }
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        try:
            async with self._opened().post(
                self._url, data=aiter(body), headers=headers, allow_redirects=False
            ) as response:
                answer = bytearray()
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > _MOST:
                        raise ProtocolViolation(f"{self._url}: a response of more than {_MOST >> 20} MiB")
                return self._judge(response, bytes(answer))
        except aiohttp.ConnectionTimeoutError as error:
            raise DeadlineExceeded(f"connection to {self._url}", self._timeout) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"answer of {self._url}", self._timeout) from error
        except aiohttp.ClientConnectorError as error:
            raise ConnectFailed(f"{self._url}: {error}") from error
        except aiohttp.InvalidURL as error:
            raise LocalError(f"{self._url}: no URL") from error
        except aiohttp.ClientError as error:
            raise ConnectionLost(f"{self._url}: {error}") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._ssl if self._ssl is not None else True)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    def _judge(self, response: aiohttp.ClientResponse, answer: bytes) -> bytes | None:
        status = response.status
        # 409 tells of failures in the same way as 202 (PS3.18 table 10.5.3-1).
        if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT):
            if response.content_type in (_JSON, "application/json"):
                return answer
            if status == HTTPStatus.OK:
                return None
        said = " ".join(answer[:200].decode("utf-8", "replace").split()) if answer.isascii() else ""
        raise WebRefused(
            status,
            f"{_plain(response.url)}: {status} {response.reason}{': ' + said if said else ''}",
            _seconds(response.headers.get("Retry-After", "")),
        )


def _plain(url: URL) -> str:
    return str(url.with_query(None).with_user(None).with_password(None))


def _seconds(retry_after: str) -> float | None:
    """Retry-After in seconds (RFC 9110 10.2.3); a date there is not looked at."""
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 8 else None


def _read(answer: bytes | None, wanted: Sequence[str]) -> StoreResponse:
    if answer is None:
        return StoreResponse(frozenset(wanted))
    try:
        told = json.loads(answer)
        told = told[0] if isinstance(told, list) and told else told
        references = {_uid(item): _number(item, _WARNING_REASON) for item in _items(told, _REFERENCED_SOP_SEQUENCE)}
        failures = {_uid(item): _number(item, _FAILURE_REASON) for item in _items(told, _FAILED_SOP_SEQUENCE)}
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ProtocolViolation(f"no Store Instances Response (PS3.18 10.5.3): {error!r}") from None
    silent = [uid for uid in wanted if uid not in references and uid not in failures]
    if silent:
        raise ProtocolViolation(f"the Store Instances Response tells nothing of {silent[0]} (PS3.18 10.5.3)")
    ours = frozenset(wanted)
    return StoreResponse(
        frozenset(uid for uid, reason in references.items() if not reason and uid in ours and uid not in failures),
        {uid: reason for uid, reason in references.items() if reason and uid in ours and uid not in failures},
        {uid: reason for uid, reason in failures.items() if uid in ours},
    )


def _items(told: Any, tag: str) -> Sequence[Any]:
    return told.get(tag, {}).get("Value") or ()


def _uid(item: Any) -> str:
    return str(item[_REFERENCED_SOP_INSTANCE_UID]["Value"][0])


def _number(item: Any, tag: str) -> int:
    value = item.get(tag, {}).get("Value") or (0,)
    return int(value[0])
