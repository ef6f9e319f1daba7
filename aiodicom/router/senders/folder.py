"""Objects as DICOM files in a folder, named by a template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiodicom.errors import TransformationFailed
from aiodicom.router.outcomes import Fault, Outcome
from aiodicom.router.outgoing import Outgoing, file_pieces, header_of
from aiodicom.services.naming import FileTemplate, InvalidUID, values_of
from aiodicom.store.committer import Committer
from aiodicom.store.files import Folder

if TYPE_CHECKING:
    from aiodicom.router.config.destinations import FolderDestination

__all__ = ["FolderSender", "path_of"]

#: Objects that are written side by side.
_SIDE_BY_SIDE: Final = 16


async def path_of(outgoing: Outgoing, template: FileTemplate) -> tuple[str, ...]:
    """Where the template has an object. Raises `TransformationFailed` for one that cannot be named."""
    uid = outgoing.source.sop_instance_uid
    if template.keywords == {"SOPInstanceUID"}:
        return template.path({"SOPInstanceUID": uid})
    try:
        values = values_of(await header_of(outgoing), template.keywords)
    except InvalidUID as error:
        raise TransformationFailed("naming the file", str(error)) from error
    return template.path(values | {"SOPInstanceUID": uid})


class FolderSender:
    """Writes files that appear whole under their names; the same instance again replaces its file."""

    batch = 1
    concurrency = _SIDE_BY_SIDE

    def __init__(self, destination: FolderDestination) -> None:
        self._template = FileTemplate(destination.path)
        self._folder = Folder(self._template.root)
        self._committer = Committer(self._folder)
        self._is_synced = destination.durability == "synced"

    @property
    def open(self) -> int:
        """Files that are being written."""
        return self._committer.running

    async def start(self) -> None:
        """Nothing is opened before it is needed."""

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Writes each object."""
        for outgoing in objects:
            path = await path_of(outgoing, self._template)
            file = self._folder.create(path[-1])
            try:
                async for piece in file_pieces(outgoing):
                    file.write(piece)
                file.finish()
            except BaseException:
                file.discard()
                raise
            await self._committer.commit(file, path, sync=self._is_synced)
        return [Outcome(Fault.NONE)] * len(objects)

    async def close(self) -> None:
        """Returns when what was given has been written."""
        await self._committer.close()
        self._folder.close()
