"""What the tests of this folder share: PDUs as hypothesis strategies, and streams fed in pieces."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from aiodicom.ul.framing import PduReader
from aiodicom.ul.pdu import (
    PDU,
    PDV,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    AsynchronousOperationsWindow,
    ContextResult,
    PDataTF,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    ResultReason,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
    UserInformation,
)


def checked(max_examples: int) -> settings:
    """Settings under which a property is the same test every time."""
    return settings(max_examples=max_examples, deadline=None, derandomize=True, database=None)


def pdus_of(stream: bytes, maximum_length: int = 0) -> list[tuple[int, bytes]]:
    """The PDUs in ``stream``, which are the same whether it is fed byte by byte or in one piece."""
    at_once = _read([stream], maximum_length)
    assert _read([stream[i : i + 1] for i in range(len(stream))], maximum_length) == at_once
    return at_once


def _read(pieces: list[bytes], maximum_length: int) -> list[tuple[int, bytes]]:
    reader = PduReader(maximum_length)
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (pdu := reader.next_pdu()) is not None:
            found.append(pdu)
    return found


def item(item_type: int, value: bytes) -> bytes:
    """An item of an A-ASSOCIATE PDU."""
    return bytes((item_type, 0)) + len(value).to_bytes(2, "big") + value


bytes_16 = st.integers(0, 0xFFFF)
uids = st.lists(st.integers(0, 10**9), min_size=2, max_size=6).map(lambda numbers: ".".join(map(str, numbers)))
_printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
# A backslash is allowed in neither (PS3.5 6.2).
ae_titles = st.text(_printable, min_size=1, max_size=16).map(lambda title: title.replace("\\", "/").strip() or "AE")
_version_names = st.text(_printable, max_size=16).map(lambda name: name.replace("\\", "/").rstrip())
_blobs = st.binary(max_size=40)
_context_ids = st.lists(st.integers(0, 127).map(lambda n: 2 * n + 1), min_size=1, max_size=5, unique=True)


@st.composite
def _proposed(draw: st.DrawFn) -> tuple[ProposedContext, ...]:
    syntaxes = st.lists(uids, min_size=1, max_size=4).map(tuple)
    return tuple(ProposedContext(number, draw(uids), draw(syntaxes)) for number in draw(_context_ids))


@st.composite
def _results(draw: st.DrawFn) -> tuple[ContextResult, ...]:
    results = []
    for number in draw(_context_ids):
        result = draw(st.sampled_from(ResultReason))
        results.append(ContextResult(number, result, draw(uids) if result is ResultReason.ACCEPTANCE else ""))
    return tuple(results)


def _user_information(*, request: bool) -> st.SearchStrategy[UserInformation]:
    def several(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(items, max_size=3).map(tuple)

    common: dict[str, st.SearchStrategy[Any]] = {
        "maximum_length": st.integers(0, 0xFFFFFFFF),
        "implementation_class_uid": uids | st.just(""),
        "implementation_version_name": _version_names,
        "asynchronous_operations_window": st.none() | st.builds(AsynchronousOperationsWindow, bytes_16, bytes_16),
        "roles": several(st.builds(RoleSelection, uids, st.booleans(), st.booleans())),
        "extended": several(st.builds(SOPClassExtendedNegotiation, uids, _blobs)),
    }
    if not request:
        return st.builds(
            UserInformation, **common, user_identity_response=st.none() | st.builds(UserIdentityResponse, _blobs)
        )
    related = st.lists(uids, max_size=3).map(tuple)
    return st.builds(
        UserInformation,
        **common,
        common_extended=several(st.builds(SOPClassCommonExtendedNegotiation, uids, uids, related)),
        user_identity=st.none() | st.builds(UserIdentity, st.integers(0, 255), st.booleans(), _blobs, _blobs),
    )


_byte = st.integers(0, 255)
_pdvs = st.builds(PDV, _byte, st.booleans(), st.booleans(), _blobs)

requests: st.SearchStrategy[AssociateRQ] = st.builds(
    AssociateRQ, ae_titles, ae_titles, _proposed(), _user_information(request=True), uids, bytes_16
)
acceptances: st.SearchStrategy[AssociateAC] = st.builds(
    AssociateAC, ae_titles, ae_titles, _results(), _user_information(request=False), uids, bytes_16
)
pdus: st.SearchStrategy[PDU] = st.one_of(
    requests,
    acceptances,
    st.builds(AssociateRJ, _byte, _byte, _byte),
    st.builds(PDataTF, st.lists(_pdvs, min_size=1, max_size=5).map(tuple)),
    st.just(ReleaseRQ()),
    st.just(ReleaseRP()),
    st.builds(Abort, _byte, _byte),
)

#: one of each, for tests that need bytes to break
PLAIN_RQ = AssociateRQ(
    "CALLED",
    "CALLING",
    (
        ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
        ProposedContext(3, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")),
    ),
    UserInformation(
        16382,
        implementation_version_name="A_NAME",
        asynchronous_operations_window=AsynchronousOperationsWindow(5, 1),
        roles=(RoleSelection("1.2.840.10008.5.1.4.1.1.2", False, True),),
        extended=(SOPClassExtendedNegotiation("1.2.840.10008.5.1.4.1.1.2", b"\x02\x00"),),
        common_extended=(SOPClassCommonExtendedNegotiation("1.2.3", "1.2.840.10008.4.2", ("1.2.4", "1.2.5")),),
        user_identity=UserIdentity(2, True, b"user", b"passcode"),
    ),
)
PLAIN_AC = AssociateAC(
    "CALLED",
    "CALLING",
    (
        ContextResult(1, ResultReason.ACCEPTANCE, "1.2.840.10008.1.2"),
        ContextResult(3, ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED),
    ),
    UserInformation(
        32768,
        asynchronous_operations_window=AsynchronousOperationsWindow(3, 1),
        user_identity_response=UserIdentityResponse(b"ticket"),
    ),
)
PLAIN_DATA = PDataTF((PDV(1, True, True, b"\1\2\3"), PDV(3, False, False, b"")))
PLAIN: tuple[PDU, ...] = (PLAIN_RQ, PLAIN_AC, PLAIN_DATA, AssociateRJ(1, 1, 7), ReleaseRQ(), ReleaseRP(), Abort(2, 6))
