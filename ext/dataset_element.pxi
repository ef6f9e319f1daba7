# Data elements as Python sees them, and the ways through them.

@cython.final
@cython.freelist(256)
cdef class DataElement:
    """A data element (PS3.5 7.1): `tag`, `vr`, `value`.

    Either a view of an element in a data set's encoded bytes (`owner`, `element`), or one that has its own value. A
    view that is given a value becomes the data set's element from then on.
    """

    cdef Core owner
    cdef const Element* element       # within `owner`; NULL where the value is `own`
    cdef object own
    cdef uint32_t number              # the tag
    cdef uint16_t code                # the VR, or a choice of VRs
    cdef uint16_t settled             # which of the choice the data set makes it
    cdef public bint is_undefined_length

    def __init__(self, tag, vr, value=None):
        self.number = tag_of(tag)
        self.code = vr_code(vr)
        self.element = NULL
        self.owner = None
        self.own = normalised(self.code, value)

    @property
    def tag(self):
        return subtype(Tag, self.number)

    cdef uint16_t vr_now(self) except? 0:
        if self.element != NULL:
            return self.owner.vr_of(self.element)
        if self.code > VR_LAST_AMBIGUOUS:
            return self.code
        if is_buffer(self.own) or (self.own is None and self.code == VR_OB_OR_OW):
            return VR_OB if self.settled == VR_OB else VR_OW
        if self.settled == VR_US or self.settled == VR_SS:
            return self.settled
        first = self.own[0] if isinstance(self.own, list) and self.own else self.own
        return VR_SS if self.code != VR_US_OR_OW and isinstance(first, int) and first < 0 else VR_US

    cdef DataElement take_over(self):
        """Makes this the element that its data set has, with a value of its own."""
        cdef Core owner = self.owner
        if self.element != NULL:
            self.code = owner.vr_of(self.element)
            self.own = owner.value_of(self.element)
            self.is_undefined_length = (self.element.flags & FLAG_UNDEFINED) != 0
            self.element = NULL
            self.owner = None
            owner.put(self)
        return self

    @property
    def vr(self):
        return vr_name(self.vr_now())

    @vr.setter
    def vr(self, str name):
        cdef uint16_t code = vr_code(name)
        if code != self.vr_now():
            self.take_over().code = code

    @property
    def VR(self):
        return vr_name(self.vr_now())

    @VR.setter
    def VR(self, str name):
        self.vr = name

    @property
    def value(self):
        if self.element != NULL:
            return self.owner.value_of(self.element)
        return self.own

    @value.setter
    def value(self, value):
        cdef Core owner = self.owner
        value = normalised(self.vr_now() if self.element != NULL else self.code, value)
        if self.element != NULL:
            self.code = owner.vr_of(self.element)
            self.element = NULL
            self.owner = None
            owner.put(self)
        self.own = value

    @property
    def values(self):
        """The values as a list, empty where there is none; what has one value by its VR is a list of one."""
        value = self.value
        if type(value) is list or type(value) is Sequence:
            return value
        return [] if value is None or (type(value) is not int and not value and self.is_empty) else [value]

    @property
    def raw(self):
        """The encoded value: a view of the data set's bytes where it came from there, else in little endian."""
        if self.element != NULL:
            return self.owner.raw_of(self.element)
        return memoryview(encode_alone(self))

    def raw_part(self, uint64_t start, uint64_t length):
        """``raw[start:start + length]``; of a value that is still in its file, nothing else is read."""
        cdef uint64_t left
        if self.element == NULL or not self.element.flags & FLAG_DEFERRED:
            return self.raw[start:start + length]
        left = self.element.length - min(start, <uint64_t>self.element.length)
        return memoryview(self.owner.source.read_deferred(self.element.offset + start, min(length, left)))

    @property
    def text(self):
        """A text value as one string with its backslashes, in the data set's character sets; None for other VRs."""
        value = self.value
        if isinstance(value, list):
            value = "\\".join([str(one) for one in value])
        return value if isinstance(value, str) else str(value) if isinstance(value, (DS, IS)) else None

    @property
    def keyword(self):
        return dictionary.keyword_for_tag(self.number)

    @property
    def name(self):
        cdef Core owner = self.owner
        if self.number & 0x10000 and self.number & 0xFF00:
            creator = None if owner is None else owner.decoded_small(
                (self.number & 0xFFFF0000) | ((self.number >> 8) & 0xFF)
            )
            entry = dictionary.private_entry(self.number, creator) if isinstance(creator, str) else None
            return f"[{entry.name}]" if entry is not None else "Private tag data"
        return dictionary.name_for_tag(self.number)

    @property
    def VM(self):
        """The number of values (PS3.5 6.4)."""
        cdef uint16_t vr = self.vr_now()
        value = self.value
        if vr == VR_SQ:
            return 1
        if type(value) is list:
            return len(value)
        return 0 if value is None or (isinstance(value, (str, bytes)) and not value) else 1

    @property
    def is_empty(self):
        if self.element != NULL:
            return self.element.length == 0
        return self.own is None or (hasattr(self.own, "__len__") and len(self.own) == 0)

    @property
    def is_private(self):
        return bool(self.number & 0x10000)

    @property
    def undefined_length(self):
        """Whether the value is, or was, encoded with undefined length."""
        if self.element != NULL:
            return bool(self.element.flags & FLAG_UNDEFINED)
        return self.own.is_undefined_length if type(self.own) is Sequence else bool(self.is_undefined_length)

    @property
    def offset(self):
        """Where the value starts in what was decoded (a base that was given included); None for one that was set."""
        if self.element == NULL:
            return None
        if self.element.flags & FLAG_DEFERRED:
            return self.element.offset
        return self.owner.source.in_file(self.element.offset)

    @property
    def deferred(self):
        """The value is still in its file."""
        return self.element != NULL and bool(self.element.flags & FLAG_DEFERRED)

    @property
    def length(self):
        """Bytes of the encoded value, without delimitation item."""
        if self.element != NULL:
            return self.element.length
        return len(encode_alone(self))

    @property
    def truncated(self):
        """The data ended inside this element: `value` and `raw` have what is there."""
        return self.element != NULL and bool(self.element.flags & FLAG_CLIPPED)

    @property
    def fragments(self):
        """The fragments of encapsulated Pixel Data, the Basic Offset Table first (PS3.5 A.4), as views of the bytes."""
        return fragments_of(self.raw, self.number)

    def to_numpy(self):
        """A read-only array over the value's bytes, for the VRs of binary numbers (a copy from big endian)."""
        cdef uint16_t vr = self.vr_now()
        cdef bint big = self.element != NULL and self.owner.big and self.element.vr != VR_UN
        letters = NUMPY_TYPES.get(vr_name(vr))
        if letters is None:
            raise TypeError(f"a value of VR {vr_name(vr)} is no array of numbers")
        import numpy

        raw = self.raw
        dtype = numpy.dtype((">" if big else "<") + letters)
        return numpy.frombuffer(raw[:len(raw) // dtype.itemsize * dtype.itemsize], dtype)

    def __eq__(self, other):
        if not isinstance(other, DataElement):
            return NotImplemented
        return same_element(self, <DataElement>other)

    __hash__ = None

    def __copy__(self):
        cdef DataElement copy = new_element(self.number, self.vr_now(), None)
        copy.own = self.value
        copy.is_undefined_length = self.undefined_length
        return copy

    def __deepcopy__(self, memo):
        from copy import deepcopy

        cdef DataElement copy = self.__copy__()
        copy.own = deepcopy(copy.own, memo)
        return copy

    def __reduce__(self):
        return rebuild_element, (self.number, self.vr, self.value, self.undefined_length)

    def __str__(self):
        value = self.value
        if isinstance(value, bytes) and len(value) > 16:
            shown = f"Array of {len(value)} elements"
        elif type(value) is Sequence:
            shown = f"<Sequence, length {len(value)}>"
        else:
            shown = repr(value)
        return f"({self.number >> 16:04X},{self.number & 0xFFFF:04X}) {self.name:<35.35} {self.vr}: {shown}"

    def __repr__(self):
        return str(self)


cdef dict NUMPY_TYPES = {
    "US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "UV": "u8", "SV": "i8", "FL": "f4", "FD": "f8",
    "OB": "u1", "OW": "u2", "OL": "u4", "OV": "u8", "OF": "f4", "OD": "f8", "UN": "u1", "AT": "u2",
}


def rebuild_element(tag, vr, value, undefined):
    cdef DataElement element = DataElement(tag, vr, value)
    element.is_undefined_length = undefined
    return element


cdef bint same_element(DataElement a, DataElement b) except -1:
    if a.number != b.number or a.vr_now() != b.vr_now():
        return False
    mine, other = a.value, b.value
    if mine is other or mine == other:
        return True
    return not mine and not other and a.is_empty and b.is_empty


cdef inline DataElement view_of(Core owner, const Element* element):
    cdef DataElement view = DataElement.__new__(DataElement)
    view.owner = owner
    view.element = element
    view.number = element.tag
    return view


cdef DataElement new_element(uint32_t tag, uint16_t code, value):
    cdef DataElement element = DataElement.__new__(DataElement)
    element.number = tag
    element.code = code
    element.element = NULL
    element.own = normalised(code, value)
    return element


cdef list fragments_of(view, uint32_t tag):
    cdef const uint8_t[::1] data = view
    cdef Cursor cursor
    cdef const uint8_t* p
    cdef uint32_t size
    cdef list found = []
    cursor.data = &data[0] if data.shape[0] else NULL
    cursor.pos = 0
    cursor.end = data.shape[0]
    cursor.big = False
    while cursor.pos < cursor.end:
        p = peek(&cursor, 8)
        if p == NULL or load_tag(p, False) != TAG_ITEM or load32(p + 4, False) > cursor.end - cursor.pos - 8:
            raise DecodeError("there is no whole fragment where one must be", cursor.pos, path_text(None, 0, tag))
        size = load32(p + 4, False)
        found.append(view[cursor.pos + 8:cursor.pos + 8 + size])
        cursor.pos += 8 + size
    return found


cdef ElementIterator iterate(Core data_set):
    cdef ElementIterator iterator = ElementIterator.__new__(ElementIterator)
    data_set.ensure()
    iterator.data_set = data_set
    if data_set.overlay:
        iterator.changed = sorted(data_set.overlay)
        iterator.overlay = dict(data_set.overlay)
    return iterator


@cython.final
cdef class ElementIterator:
    """Elements in tag order, as the data set was when iteration began."""

    cdef Core data_set
    cdef size_t at
    cdef list changed
    cdef dict overlay
    cdef Py_ssize_t next_changed

    def __iter__(self):
        return self

    def __next__(self):
        element = self.following()
        if element is None:
            raise StopIteration
        return element

    cdef DataElement following(self):
        """The next element, or None."""
        cdef Core data_set = self.data_set
        cdef uint32_t tag
        if self.changed is None:
            if self.at < data_set.count:
                self.at += 1
                return view_of(data_set, &data_set.elements[self.at - 1])
            return None
        while self.next_changed < len(self.changed):
            tag = self.changed[self.next_changed]
            if self.at < data_set.count:
                if data_set.elements[self.at].tag < tag:
                    break
                if data_set.elements[self.at].tag == tag:
                    self.at += 1
            self.next_changed += 1
            element = self.overlay[tag]
            if element is not None:
                return data_set.in_context(<DataElement>element)
        if self.at < data_set.count:
            self.at += 1
            return view_of(data_set, &data_set.elements[self.at - 1])
        return None


@cython.final
cdef class ElementWalker:
    """Every element in tag order, each sequence followed by the elements of its items."""

    cdef ElementIterator elements
    cdef list waiting                 # by level: the rest of a sequence's items, and of the elements around it

    def __iter__(self):
        return self

    def __next__(self):
        cdef DataElement element
        while True:
            element = self.elements.following()
            if element is not None:
                break
            if not self.waiting:
                raise StopIteration
            items, elements = self.waiting[len(self.waiting) - 1]
            item = next(items, None)
            if item is None:
                self.waiting.pop()
                self.elements = <ElementIterator>elements
            else:
                self.elements = iterate(<Core?>item)
        if element.vr_now() == VR_SQ and element.value:
            if len(self.waiting) >= GREATEST_DEPTH:
                raise ValueError("sequences are nested too deeply")
            self.waiting.append((iter(element.value), self.elements))
            self.elements = NOTHING_LEFT
        return element


cdef ElementIterator NOTHING_LEFT = iterate(Core.__new__(Core))


cdef ElementWalker walk_all(Core data_set):
    cdef ElementWalker walker = ElementWalker.__new__(ElementWalker)
    walker.waiting = []
    walker.elements = iterate(data_set)
    return walker
