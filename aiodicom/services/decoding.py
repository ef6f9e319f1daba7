"""The data sets of requests as services take them: whole, and each attribute of the kind that it is, or refused.

What is decoded on demand would otherwise fail when somebody looks at it: who asks for a step that another one has
created, or an archive that has already been told of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodicom.errors import DecodeError, OperationRefused
from aiodicom.standard.dictionary import entry_for_tag
from aiodicom.standard.status import Status
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.requests import CancellableRequest, NormalizedRequest

__all__ = ["attributes_of", "identifier_of", "is_whole"]

#: Bytes of what a service is told: nothing with pixel data is among it.
_MOST: Final = 64 << 20


def identifier_of(request: CancellableRequest) -> Dataset:
    """The Identifier of a request. Raises `OperationRefused` with A900H for one that cannot be decoded."""
    try:
        identifier = request.identifier
    except DecodeError:
        identifier = None
    if identifier is None or not is_whole(identifier):
        raise OperationRefused(Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, "the identifier cannot be decoded")
    return identifier


def attributes_of(request: NormalizedRequest) -> Dataset:
    """The data set of a request that needs one.

    Raises `OperationRefused` where there is none, where it is longer than 64 MiB, where it cannot be decoded, and where
    an attribute that is a sequence is something else, or the other way round.
    """
    if isinstance(request.body, Body) and request.body.total > _MOST:
        raise OperationRefused(Status.RESOURCE_LIMITATION, f"a data set of more than {_MOST:,} bytes")
    try:
        data_set = request.dataset
        is_broken = data_set is not None and not is_whole(data_set)
    except DecodeError:
        is_broken = True
    if is_broken:
        raise OperationRefused(Status.PROCESSING_FAILURE, "the data set cannot be decoded")
    if data_set is None:
        raise OperationRefused(Status.MISSING_ATTRIBUTE, "there is no data set")
    for element in data_set.iterall():
        entry = entry_for_tag(element.tag)
        if entry is not None and (entry.vr == "SQ") is not (element.vr == "SQ"):
            comment = f"{entry.keyword or element.tag} has the VR {element.vr}"
            raise OperationRefused(Status.INVALID_ATTRIBUTE_VALUE, comment, (int(element.tag),))
    return data_set


def is_whole(data_set: Dataset) -> bool:
    """Whether a data set and the items of its sequences end where they say, and can be decoded."""
    try:
        return data_set.truncated is None and not any(each.truncated for each in data_set.iterall())
    except DecodeError:
        return False
