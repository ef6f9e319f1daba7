"""`Dataset`: the data set of PS3.5 7 with the names and habits that pydicom's users know."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias

from aiodicom.dataset._dataset import (
    Core,
    DataElement,
    Sequence,
    decode,
    encode,
    found_encoding,
    outline,
    set_item_type,
    to_tag,
)
from aiodicom.dataset.provided import provided
from aiodicom.dataset.stored import StoredFile
from aiodicom.dataset.transfer import BEGINNING, TransferSyntax, deflate, encoding_of, inflate, named_encoding
from aiodicom.dataset.values import Tag

if TYPE_CHECKING:
    from aiodicom.pixels.frames import Frames

__all__ = ["Dataset", "Key", "PrivateBlock"]

#: What names an element: a keyword, ``"gggg,eeee"``, ``0xGGGGEEEE`` or ``(group, element)``.
Key: TypeAlias = str | int | tuple[int | str, int | str]

_EVERYTHING = 0xFFFFFFFF
_WINDOW = 1 << 16


class Dataset(Core):
    """A data set: elements by keyword or tag, decoded when they are asked for.

    ``ds.PatientName`` is a value and ``ds["PatientName"]``, ``ds[0x00100010]``, ``ds[0x0010, 0x0010]`` or
    ``ds["0010,0010"]`` the element. Empty elements have the value None, ``""`` (text) or no items; absent ones raise
    AttributeError or KeyError. Values of elements with several are lists, which may be changed in place, as items of
    sequences may.

    A decoded data set keeps the buffer that it was decoded from; the buffer must not change as long as it is used.
    Bytes of OW and its like are in little endian order whatever they were decoded from; `DataElement.raw` has them as
    they stand.
    """

    #: `file_meta`, or the bytes that encode it until somebody asks.
    _meta: Dataset | bytes | None = None
    #: The 128 bytes that a file began with (PS3.10 7.1); empty where it had none, None for what came from no file.
    preamble: bytes | None = None
    #: The path that the data set was read from.
    filename: str | None = None

    def __init__(self, elements: Mapping[Key, DataElement] | Iterable[DataElement] = (), **values: Any) -> None:
        """A data set of those elements; keyword arguments are values by keyword."""
        if isinstance(elements, Mapping):
            elements = elements.values()
        for element in elements:
            self._put(element)
        for keyword, value in values.items():
            self._set(to_tag(keyword), value)

    @property
    def file_meta(self) -> Dataset | None:
        """The file meta information (group 0002), where the data set came from a file or was given one."""
        meta = self._meta
        if isinstance(meta, bytes):
            meta = self._meta = Dataset.from_bytes(meta)
        return meta

    @file_meta.setter
    def file_meta(self, meta: Dataset | None) -> None:
        self._meta = meta

    # Encoded form

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        transfer_syntax: str = "1.2.840.10008.1.2.1",
        *,
        stop_before: Key | None = None,
        strict: bool = False,
        max_depth: int = 64,
        max_elements: int = 1 << 20,
        max_inflated: int = 1 << 30,
        offset: int = 0,
    ) -> Self:
        """The data set that `data` encodes in `transfer_syntax`, without file meta information.

        Elements are indexed and nothing is copied. Reading stops before the first element whose tag is `stop_before` or
        greater. What the standard forbids but the world sends is understood: a label that the data belies, wrong
        delimiters, odd lengths, unknown VRs, padding behind the end. Data that ends too early give what is there, and
        `truncated` says where it ended.

        `strict` refuses all that, and values that PS3.5 6.2 forbids: too long, with characters that their VR or
        Specific Character Set lacks, no number, date or UID where one must be. It looks at every value and item at
        once.

        Limits: sequences nested `max_depth` deep (at most 512), `max_elements` elements in one data set or items in one
        sequence, `max_inflated` bytes from a deflated transfer syntax. `offset` is added to the offsets in errors.

        Raises `aiodicom.errors.DecodeError`; for what is nested in a sequence when that is asked for, unless `strict`.
        """
        encoding = encoding_of(transfer_syntax)
        original = trouble = None
        if encoding.deflated:
            inflated, trouble = inflate(data, max_inflated, strict)
            if inflated is not data:
                original, data, offset = data, inflated, 0
        data_set = cls.__new__(cls)
        decode(
            data_set,
            data,
            not encoding.explicit,
            not encoding.little_endian,
            _EVERYTHING if stop_before is None else to_tag(stop_before),
            strict,
            max_depth,
            max_elements,
            offset,
            original,
            trouble,
        )
        data_set.transfer_syntax = transfer_syntax
        return data_set

    @classmethod
    def from_file(
        cls,
        file: str | os.PathLike[str] | BinaryIO,
        transfer_syntax: str = "1.2.840.10008.1.2.1",
        *,
        offset: int = 0,
        defer_size: int = 1 << 16,
        stop_before: Key | None = None,
        strict: bool = False,
        max_depth: int = 64,
        max_elements: int = 1 << 20,
        max_inflated: int = 1 << 30,
    ) -> Self:
        """The data set that stands in a file from `offset` on, behind the file meta information.

        Values of more than `defer_size` bytes at the top level, encapsulated Pixel Data too, stay in the file until
        they are asked for; a file given by its path is opened again for them, and must not change. Errors have offsets
        in the file. Everything else is as for `from_bytes`.
        """
        encoding = encoding_of(transfer_syntax)
        stored = StoredFile(file)
        try:
            if encoding.deflated:
                return cls.from_bytes(
                    stored.read(offset, max(stored.size - offset, 0)),
                    transfer_syntax,
                    stop_before=stop_before,
                    strict=strict,
                    max_depth=max_depth,
                    max_elements=max_elements,
                    max_inflated=max_inflated,
                )
            last = _EVERYTHING if stop_before is None else to_tag(stop_before)
            implicit, big = not encoding.explicit, not encoding.little_endian
            if not strict:
                left = max(stored.size - offset, 0)
                implicit, big = found_encoding(stored.read(offset, min(BEGINNING, left)), left, implicit, big)
            window = max(512, min(_WINDOW, defer_size))
            data, holes = outline(stored.read, offset, stored.size, implicit, big, defer_size, max_depth, last, window)
        finally:
            stored.close()
        data_set = cls.__new__(cls)
        decode(
            data_set,
            data,
            implicit,
            big,
            last,
            strict,
            max_depth,
            max_elements,
            offset,
            read_deferred=stored.read,
            holes=holes,
        )
        data_set.transfer_syntax = transfer_syntax
        return data_set

    def to_bytes(self, transfer_syntax: str | None = None, *, lengths: str = "kept") -> bytes:
        """The data set encoded in `transfer_syntax`; by default in the one it was decoded from, else explicit VR little
        endian.

        What was decoded and not changed is copied, into the same transfer syntax byte for byte. `lengths` says how
        sequences and items are closed: as they were (``"kept"``; new ones have explicit lengths), ``"explicit"`` or
        ``"undefined"``.

        Raises ValueError where a value cannot be encoded, Pixel Data does not fit the transfer syntax, or that is no
        UID.
        """
        encoding, implicit, big, checked = _target(self, transfer_syntax)
        if encoding.deflated:
            original = self._original()
            if original is not None and lengths == "kept" and not self._modified():
                return bytes(original)
        data = encode(self, implicit, big, encoding.encapsulated, checked, lengths)
        return deflate(data) if encoding.deflated else data

    def to_parts(self, transfer_syntax: str | None = None, *, lengths: str = "kept") -> list[bytes | memoryview]:
        """What `to_bytes` gives, in pieces to be written one after the other.

        Long ranges of what was decoded are views of the buffer that it was decoded from, and are not copied.
        """
        encoding, implicit, big, checked = _target(self, transfer_syntax)
        if encoding.deflated:
            return [self.to_bytes(transfer_syntax, lengths=lengths)]
        return encode(self, implicit, big, encoding.encapsulated, checked, lengths, True)

    @property
    def is_implicit_VR(self) -> bool:
        """Whether it was decoded from implicit VR (PS3.5 7.1.3)."""
        return self._implicit

    @property
    def is_little_endian(self) -> bool:
        """Whether it was decoded from little endian; so is what is made anew."""
        return not self._big

    # Elements

    def __setitem__(self, key: Key, element: DataElement) -> None:
        if not isinstance(element, DataElement):
            raise TypeError(f"what is set by tag is a DataElement, not {type(element).__name__}")
        if to_tag(key) != element.tag:
            raise ValueError(f"the element has the tag {element.tag}, not {to_tag(key)}")
        self._put(element)

    def add(self, element: DataElement) -> None:
        """Adds an element, in the place of one with its tag."""
        self._put(element)

    def add_new(self, tag: Key, vr: str, value: Any) -> None:
        """Adds an element made of `tag`, `vr` and `value`."""
        self._put(DataElement(tag, vr, value))

    def get(self, key: Key, default: Any = None) -> Any:
        """The value of a keyword, or the element of a tag; `default` where there is none."""
        if isinstance(key, str):
            return getattr(self, key, default) if key.isidentifier() else self._element_or(key, default)
        return self._element_or(key, default)

    def _element_or(self, key: Key, default: Any) -> Any:
        try:
            element = self._element(to_tag(key))
        except KeyError:
            return default
        return default if element is None else element

    get_item = Core.__getitem__

    def data_element(self, keyword: str) -> DataElement | None:
        """The element of a keyword, or None."""
        try:
            return self._element(to_tag(keyword))
        except KeyError:
            return None

    def elements(self) -> Iterator[DataElement]:
        """The elements in tag order."""
        return iter(self)

    def keys(self) -> list[Tag]:
        """The tags in ascending order."""
        return [element.tag for element in self]

    def values(self) -> list[DataElement]:
        """The elements in tag order."""
        return list(self)

    def items(self) -> list[tuple[Tag, DataElement]]:
        """The tags in ascending order, each with its element."""
        return [(element.tag, element) for element in self]

    def pop(self, key: Key, *default: Any) -> Any:
        """Removes an element and returns it."""
        if key not in self and default:
            return default[0]
        element = self[key].__copy__()
        del self[key]
        return element

    def setdefault(self, key: Key, default: Any = None) -> DataElement:
        """The element of `key`, added first where it is absent: `default` is an element, or a value."""
        if key not in self:
            if not isinstance(default, DataElement):
                default = DataElement(key, _vr_for(key), default)
            self._put(default)
        return self[key]

    def update(self, elements: Mapping[Any, Any] | Dataset) -> None:
        """Takes over the elements of another data set (pydicom's too), or values by keyword, or elements by tag."""
        from aiodicom.dataset.interop import is_pydicom, ours

        if isinstance(elements, Dataset) or is_pydicom(elements):
            for element in ours(elements):
                self._put(element.__copy__())
            return
        for key, value in elements.items():
            if isinstance(value, DataElement):
                self[key] = value
            else:
                self._set(to_tag(key), value)

    def clear(self) -> None:
        """Removes all elements; the file meta information stays."""
        for tag in self.keys():
            del self[tag]

    def dir(self, *filters: str) -> list[str]:
        """The keywords of the elements that are there, in order; only those that contain one of `filters`."""
        keywords = sorted(element.keyword for element in self if element.keyword)
        wanted = [part.lower() for part in filters]
        return [word for word in keywords if not wanted or any(part in word.lower() for part in wanted)]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.dir()})

    def group_dataset(self, group: int) -> Self:
        """A data set with copies of the elements of one group."""
        return self._part(slice(group << 16, (group + 1) << 16))

    def select(self, keys: Iterable[Key]) -> Self:
        """A data set of the elements that `keys` name and that are there, without the file meta information.

        What was decoded is neither copied nor decoded for it. Changing one data set does not change the other, but
        values are shared.
        """
        selection = type(self).__new__(type(self))
        self._select_into(selection, keys)
        return selection

    def _part(self, key: slice) -> Self:
        if key.step is not None:
            raise ValueError("a slice of a data set has no step")
        start = 0 if key.start is None else to_tag(key.start)
        stop = _EVERYTHING if key.stop is None else key.stop if isinstance(key.stop, int) else to_tag(key.stop)
        return type(self)(element.__copy__() for element in self if start <= element.tag < stop)

    def walk(self, callback: Callable[[Dataset, DataElement], object], recursive: bool = True) -> None:
        """Calls `callback` with the data set and each element in tag order; then, if `recursive`, with those of items.

        The callback may change and delete the element.
        """
        for element in self:
            callback(self, element)
            if recursive and element.tag in self and element.vr == "SQ":
                for item in element.value:
                    item.walk(callback)

    def remove_private_tags(self) -> None:
        """Removes private elements, also in items of sequences."""

        def remove(data_set: Dataset, element: DataElement) -> None:
            if element.is_private:
                del data_set[element.tag]

        self.walk(remove)

    # Private elements (PS3.5 7.8)

    def private_creators(self, group: int) -> list[str]:
        """The creators that reserve blocks in a group."""
        if not group & 1:
            raise ValueError(f"{group:04X} is not a private group")
        found = (self._value((group << 16) | number, None) for number in range(0x10, 0x100))
        return [creator for creator in found if isinstance(creator, str) and creator]

    def private_block(self, group: int, private_creator: str, create: bool = False) -> PrivateBlock:
        """The block that a creator has reserved in a private group.

        Raises KeyError where there is none, unless `create`, which reserves the first free one.
        """
        if not group & 1:
            raise ValueError(f"{group:04X} is not a private group")
        if not private_creator:
            raise ValueError("a private creator has a name")
        free = None
        for number in range(0x10, 0x100):
            creator = self._value((group << 16) | number, None)
            if creator == private_creator:
                return PrivateBlock(self, group, private_creator, number)
            if creator is None and free is None:
                free = number
        if not create:
            raise KeyError(f"private creator {private_creator!r} has no block in group {group:04X}")
        if free is None:
            raise ValueError(f"no block is left in group {group:04X}")
        self.add_new((group << 16) | free, "LO", private_creator)
        return PrivateBlock(self, group, private_creator, free)

    def get_private_item(self, group: int, element_offset: int, private_creator: str) -> DataElement:
        """The private element that a creator has at ``xx`` of (gggg,bbxx); KeyError where there is none."""
        return self.private_block(group, private_creator)[element_offset]

    # Comparing, copying, showing

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Dataset):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        copy = type(self).__new__(type(self))
        self._copy_to(copy)
        copy.__dict__.update(self.__dict__)
        copy._apply(self._changes())
        return copy

    def copy(self) -> Self:
        """A data set with the same elements; changing one does not change the other, but values are shared."""
        return self.__copy__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        self._copy_to(copy)
        copy.__dict__.update({name: deepcopy(value, memo) for name, value in self.__dict__.items()})
        copy._apply({tag: deepcopy(element, memo) for tag, element in self._changes().items()})
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        if self.truncated is not None or not self._decoded:
            return _from_elements, (type(self), [element.__copy__() for element in self], self._attributes())
        syntax = self.transfer_syntax
        if syntax is None or encoding_of(syntax).deflated:
            syntax = _syntax_of(self._implicit, self._big)
        return _from_encoded, (
            type(self),
            encode(self, self._implicit, self._big, False, False, "kept"),
            syntax,
            self._attributes(),
        )

    def _attributes(self) -> dict[str, Any]:
        return self.__dict__ | {"transfer_syntax": self.transfer_syntax}

    def __str__(self) -> str:
        if self.file_meta is None:
            return "\n".join(self._lines(""))
        return "\n".join(("file_meta", *self.file_meta._lines("  "), *self._lines("")))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} elements>"

    def _lines(self, indent: str) -> Iterator[str]:
        for element in self:
            yield f"{indent}{element}"
            if element.vr == "SQ":
                for number, item in enumerate(element.value):
                    yield f"{indent}  item {number}"
                    yield from item._lines(f"{indent}    ")

    # Pixel data

    @property
    def frames(self) -> Frames:
        """The frames of the pixel data, each read and decoded when it is asked for.

        What group 0028 says is looked at each time: keep the sequence for a loop. Raises
        `aiodicom.errors.PixelDataError` where that cannot be, or there is no pixel data.
        """
        frames: Frames = provided("aiodicom.pixels.frames", "Frames")(self)
        return frames

    # Other forms

    @classmethod
    def from_json(cls, text: str | bytes) -> Dataset:
        """The data set of a DICOM JSON Model object (PS3.18 F), given as text."""
        from aiodicom.dataset import json

        return json.from_json(text)

    def to_json(self) -> str:
        """The data set in the DICOM JSON model (PS3.18 F), as text."""
        from aiodicom.dataset import json

        return json.to_json(self)

    def to_json_dict(self) -> dict[str, Any]:
        """The data set in the DICOM JSON model, as dictionaries and lists."""
        from aiodicom.dataset import json

        return json.to_json_dict(self)


class PrivateBlock:
    """The elements (gggg,bb00) to (gggg,bbFF) that a private creator has reserved (PS3.5 7.8.1)."""

    def __init__(self, dataset: Dataset, group: int, private_creator: str, number: int) -> None:
        self.dataset = dataset
        self.group = group
        self.private_creator = private_creator
        self.block_start = number << 8

    def get_tag(self, element_offset: int) -> Tag:
        """The tag of an element of the block."""
        if not 0 <= element_offset <= 0xFF:
            raise ValueError("an element of a private block is from 0 to 0xFF")
        return Tag((self.group << 16) | self.block_start | element_offset)

    def __contains__(self, element_offset: int) -> bool:
        return self.get_tag(element_offset) in self.dataset

    def __getitem__(self, element_offset: int) -> DataElement:
        return self.dataset[self.get_tag(element_offset)]

    def __delitem__(self, element_offset: int) -> None:
        del self.dataset[self.get_tag(element_offset)]

    def add_new(self, element_offset: int, vr: str, value: Any) -> None:
        """Adds an element to the block."""
        self.dataset.add_new(self.get_tag(element_offset), vr, value)


def _vr_for(key: Key) -> str:
    from aiodicom.standard.dictionary import entry_for_tag

    entry = entry_for_tag(to_tag(key))
    return "UN" if entry is None or entry.vr == "NONE" else entry.vr


def _target(data_set: Dataset, transfer_syntax: str | None) -> tuple[TransferSyntax, bool, bool, bool]:
    """The encoding, implicit VR, big endian, and whether Pixel Data must be of the kind that the encoding has."""
    own = data_set.transfer_syntax
    if transfer_syntax is not None:
        encoding, implicit, big = named_encoding(transfer_syntax)
        return encoding, implicit, big, transfer_syntax != own
    encoding = encoding_of(own or "1.2.840.10008.1.2.1")
    if data_set._decoded:
        return encoding, data_set._implicit, data_set._big, False
    return encoding, not encoding.explicit, not encoding.little_endian, False


def _syntax_of(implicit: bool, big: bool) -> str:
    return "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.2" if big else "1.2.840.10008.1.2.1"


def _from_encoded(cls: type[Dataset], data: bytes, transfer_syntax: str, attributes: dict[str, Any]) -> Dataset:
    return _with_attributes(cls.from_bytes(data, transfer_syntax), attributes)


def _with_attributes(data_set: Dataset, attributes: dict[str, Any]) -> Dataset:
    data_set.transfer_syntax = attributes.pop("transfer_syntax")
    data_set.__dict__.update(attributes)
    return data_set


def _from_elements(cls: type[Dataset], elements: list[DataElement], attributes: dict[str, Any]) -> Dataset:
    return _with_attributes(cls(elements), attributes)


set_item_type(Dataset)
MutableSequence.register(Sequence)
__all__ += ["DataElement", "Sequence"]
