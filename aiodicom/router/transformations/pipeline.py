"""The transformations of a route, applied to an object: `Pipeline`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError, CodecMissing, LocalError, TransformationFailed
from aiodicom.pixels.transcode import transcode_data_set
from aiodicom.router.conditions.compiler import Condition
from aiodicom.router.origin import Origin
from aiodicom.standard.transfer_syntaxes import transfer_syntax

if TYPE_CHECKING:
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["Change", "Pipeline", "Step", "TranscodeStep", "Transformed"]

#: Changes a data set, or makes another one of it; None drops the object. Whatever it raises is why it failed.
Change: TypeAlias = Callable[[Dataset, Origin], Dataset | None]

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class Step(NamedTuple):
    """One transformation: what it is called when it fails, when it is applied, and what it does."""

    name: str
    change: Change
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class TranscodeStep:
    """The transfer syntax that an object is brought into after all steps.

    An object that cannot be in it goes as it is, unless `must`.
    """

    to: str
    quality: float | None = None
    must: bool = False
    when: Condition | None = None

    @property
    def name(self) -> str:
        """What it is called when it fails."""
        return f"transcode to {transfer_syntax(self.to).name}"


@dataclass(frozen=True, slots=True)
class Transformed:
    """What has become of an object.

    Where nothing `is_changed` it is to go on as it came, byte by byte. Otherwise `header` is what it says now, of which
    the SOP Instance UID may be another, and `pieces` is all of it encoded in `transfer_syntax`, to be taken once; long
    values are views of what came. Taking them raises `TransformationFailed` where frames turn out to be corrupt.
    """

    header: Dataset
    transfer_syntax: str
    is_changed: bool
    pieces: Iterator[Buffer]


class Pipeline:
    """The transformations of a route.

    Applying it does no IO but reading the object, and may take long where it `is_heavy`: then it is for a thread of
    `net.codec_threads`, as are the pieces that come of it.
    """

    __slots__ = ("_steps", "_transcode", "is_heavy")

    def __init__(
        self, steps: Sequence[Step], transcode: TranscodeStep | None = None, *, is_heavy: bool = False
    ) -> None:
        self._steps = tuple(steps)
        self._transcode = transcode
        #: Whether it looks at pixels.
        self.is_heavy = is_heavy or transcode is not None

    def apply(self, data_set: Dataset, origin: Origin) -> Transformed | None:
        """Returns what becomes of an object; None where it is dropped. `data_set` is all of it, and stays as it is.

        Raises `TransformationFailed` where a step cannot do what it is to do: the object must not go on without it.
        """
        own = origin.transfer_syntax or data_set.transfer_syntax or ""
        if data_set.truncated is not None:
            raise TransformationFailed("reading the object", str(data_set.truncated))
        # A deep one: of what somebody has changed before, items of sequences too are of this copy alone.
        copy = changed = deepcopy(data_set)
        for step in self._steps:
            try:
                if step.when is not None and not step.when(changed, origin):
                    continue
                outcome = step.change(changed, origin)
            except TransformationFailed:
                raise
            except Exception as error:
                raise TransformationFailed(step.name, _reason(error)) from error
            if outcome is None:
                return None
            changed = outcome
        if self._transcode is not None:
            transcoded = self._transcoded(self._transcode, changed, own, origin)
            if transcoded is not None:
                return transcoded
        if changed is copy and not changed._modified():
            return Transformed(data_set, own, False, iter(()))
        kept = changed.transfer_syntax or own
        try:
            made = transcode_data_set(changed, kept, own=kept)
        except AiodicomError as error:
            raise TransformationFailed("encoding the object", _reason(error)) from error
        return Transformed(made.header, made.transfer_syntax, True, _guarded("encoding the object", made.pieces))

    def _transcoded(self, step: TranscodeStep, data_set: Dataset, own: str, origin: Origin) -> Transformed | None:
        try:
            if step.when is not None and not step.when(data_set, origin):
                return None
            if step.to == own and step.quality is None:
                return None
            if transfer_syntax(step.to).encapsulated and not any(keyword in data_set for keyword in _PIXELS):
                if step.must:
                    raise LocalError("there are no pixel data")
                return None
            made = transcode_data_set(data_set, step.to, quality=step.quality, own=own)
        except Exception as error:
            # What is not installed is no matter of the object's.
            is_installed = not isinstance(error, CodecMissing) or error.extra is None
            if isinstance(error, LocalError) and is_installed and not step.must:
                return None
            raise TransformationFailed(step.name, _reason(error)) from error
        return Transformed(made.header, made.transfer_syntax, True, _guarded(step.name, made.pieces))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, AiodicomError) and text else f"{type(error).__name__}: {text}".rstrip(": ")


def _guarded(name: str, pieces: Iterator[Buffer]) -> Iterator[Buffer]:
    try:
        yield from pieces
    except (AiodicomError, ValueError) as error:
        raise TransformationFailed(name, _reason(error)) from error
