"""What a load stores: studies without end, each one new, whatever they are made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from aiodicom.net.sources import Buffer, GatheredSource

__all__ = ["Instance", "Series", "Study", "Supply"]


class Instance(NamedTuple):
    """A SOP instance as it is sent."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    #: The encoded data set, in order; those with pixels are shared with other instances.
    buffers: tuple[Buffer, ...]
    #: Bytes of the encoded data set.
    size: int

    @property
    def source(self) -> GatheredSource:
        """What `c_store` takes, as often as it is to be sent."""
        return GatheredSource(self.buffers, self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax)


class Series(NamedTuple):
    """A series of a study."""

    series_instance_uid: str
    modality: str
    #: Each is made when it is asked for, and is the same whenever it is asked for again.
    instances: Sequence[Instance]


class Study(NamedTuple):
    """A study, all of one patient."""

    study_instance_uid: str
    patient_id: str
    #: As PN encodes it, in the default character repertoire.
    patient_name: str
    accession_number: str
    series: Sequence[Series]


class Supply(Protocol):
    """Studies without end. Nothing that it gives has been given before, by it or by another of another seed.

    Not for several threads at once.
    """

    @property
    def contexts(self) -> Sequence[tuple[str, Sequence[str]]]:
        """The SOP classes that an association has to propose for it, each with its transfer syntaxes."""

    def next(self) -> Instance:
        """The next instance: study after study, in the order of their series."""

    def studies(self) -> Iterator[Study]:
        """Studies without end, which neither `next` nor another iterator gives too."""
