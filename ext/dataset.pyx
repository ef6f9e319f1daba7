# cython: language_level=3
"""Data sets (PS3.5 7): an index of elements over the encoded bytes, values on demand, changes laid over it.

The parts of this one module:

    dataset.pyx             `Core`: the index of a data set, its context, and what was changed
    dataset_vr.pxi          value representations and the dictionaries' word on them
    dataset_source.pxi      the bytes that are decoded, and the limits
    dataset_keys.pxi        tags by their names, repertoires
    dataset_scan.pxi        where elements begin and end, in plain C
    dataset_label.pxi       transfer syntaxes that the data belie
    dataset_outline.pxi     data sets in files, long values left where they are
    dataset_values.pxi      bytes to Python values
    dataset_decode.pxi      data sets of encoded bytes
    dataset_element.pxi     `DataElement`, iteration
    dataset_sequence.pxi    `Sequence`
    dataset_strict.pxi      refusing the values that the standard forbids
    dataset_set.pxi         Python values to bytes
    dataset_encode.pxi      encoding
    dataset_messages.pxi    data sets of messages
    dataset_repertoire.pxi  characters that the character set lacks
    dataset_json.pxi        encoded elements to the text of the DICOM JSON model
    dataset_head.pxi        where the data set of a file begins
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.math cimport isfinite
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

cimport cython
from cursor cimport *
from vr cimport *

import sys

from aiodicom.dataset.values import DA, DT, IS, TM, UID, PersonName, Tag
from aiodicom.errors import DecodeError
from aiodicom.standard import dictionary

cdef extern from "Python.h":
    ctypedef object (*newfunc)(PyTypeObject*, object, PyObject*)
    ctypedef struct PyTypeObject:
        newfunc tp_new
    void PyObject_GC_Track(object)
    void PyObject_GC_UnTrack(object)
    bint PyObject_GC_IsTracked(object)
    object PyObject_GenericGetAttr(object, object)
    int PyObject_GenericSetAttr(object, object, PyObject*) except -1
    bint PyUnicode_IS_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    const uint8_t* PyUnicode_1BYTE_DATA(object)


cdef list SMALL_INTEGERS = [IS(number) for number in range(256)]
cdef object charset = None            # aiodicom.dataset.charset, from the first value that is not plain ASCII
cdef object conformance = None        # aiodicom.dataset.conformance, from the first strict reading
cdef object item_type = None          # the Dataset class
cdef tuple EMPTY = ()

include "dataset_vr.pxi"


include "dataset_scan.pxi"
include "dataset_source.pxi"


cdef class Core:
    """A data set: the index of its encoded elements, and the elements that were changed since.

    Invariants: `elements` is in tag order without repetition and its ranges lie within `source`; it is made once and
    never moves. `overlay` holds, by tag, elements that were set, and None for those that were deleted; it goes before
    the index. `cache` holds the lists and sequences that were handed out, for their changes to be seen. The garbage collector
    need not know of one that has neither, nor attributes: nothing in it leads to another object that has to be collected.
    """

    cdef Source source                # None where nothing was decoded
    cdef Element* elements
    cdef size_t count
    cdef uint64_t start               # of the encoded data set, and its end; trailing padding included
    cdef uint64_t end
    cdef uint64_t stopped
    cdef uint8_t indexed
    cdef uint8_t tidy                 # encoded as PS3.5 has it, with nothing between or behind the elements
    cdef uint8_t implicit
    cdef uint8_t big
    cdef uint8_t to_the_end           # the data ends where this does
    cdef uint8_t item_undefined       # an item of undefined length
    cdef uint8_t selected             # not all elements that are encoded within `start` and `end` are elements of this
    cdef uint8_t stopped_early
    cdef int8_t inherited_representation  # Pixel Representation of the enclosing data set; -1 where it has none
    cdef int depth
    cdef uint32_t number              # of the item in its sequence
    cdef tuple where                  # of an item: `where` and `number` of the enclosing data set, tag of the sequence
    cdef bytes inherited_charset      # encoded Specific Character Set of the enclosing data set
    cdef bytes own_charset
    cdef dict overlay
    cdef dict cache
    cdef object trouble               # a DecodeError
    #: UID of the transfer syntax that the data set was decoded from; None for one made anew.
    cdef public object transfer_syntax
    cdef object __weakref__

    def __cinit__(self):
        self.indexed = True
        self.inherited_representation = -1

    def __dealloc__(self):
        free(self.elements)

    # Decoding

    cdef int make_index(self, uint32_t stop_before) except -1:
        cdef Index index
        cdef Cursor cursor
        cdef Source source = self.source
        cdef int outcome
        trouble = None
        memset(&index, 0, sizeof(index))
        if self.depth == 0:
            index.holes = source.holes
            index.holes_left = source.hole_count
        cursor.data = source.data
        cursor.pos = self.start
        cursor.end = self.end
        cursor.big = self.big
        index.least = min(<uint64_t> MOST_FORESEEN, 1 + (cursor.end - cursor.pos) // USUAL_ELEMENT)
        if cursor.end - cursor.pos <= SHORT_INDEXED:  # as data sets of messages are
            outcome = index_in_order(&index, &cursor, self.implicit, stop_before, self.to_the_end, source.strict,
                                     source.max_depth, self.depth, source.max_elements)
        else:
            with nogil:
                outcome = index_in_order(&index, &cursor, self.implicit, stop_before, self.to_the_end, source.strict,
                                         source.max_depth, self.depth, source.max_elements)
        if outcome > CUT or (outcome == CUT and source.strict):
            free(index.elements)
            if outcome == NO_MEMORY:
                raise MemoryError
            why = f"more than {source.max_elements} elements" if outcome == TOO_MANY else index.why.decode("ascii")
            raise self.error(why, index.fault, index.fault_tag)
        if outcome == CUT:
            trouble = self.error(index.why.decode("ascii"), index.fault, index.fault_tag)
        if self.indexed:  # by another thread meanwhile; from here on nothing lets one in
            free(index.elements)
            return 0
        if index.count + FEW < index.space and index.elements != NULL:
            self.elements = <Element*>realloc(index.elements, index.count * sizeof(Element))
            if self.elements == NULL:
                self.elements = index.elements
        else:
            self.elements = index.elements
        self.count = index.count
        self.tidy = (
            outcome == DONE and index.ordered and index.stop == self.end
            and not index.flags & (FLAG_IRREGULAR | FLAG_CLIPPED | FLAG_OPEN)
        )
        self.stopped = index.stop
        self.stopped_early = outcome == DONE and index.stop < self.end and stop_before != UNDEFINED
        self.trouble = trouble
        self.indexed = True
        return 0

    cdef inline int ensure(self) except -1:
        if not self.indexed:
            self.make_index(UNDEFINED)
        return 0

    cdef object error(self, str reason, uint64_t offset, uint32_t tag):
        return DecodeError(reason, self.source.in_file(offset), path_text(self.where, self.number, tag))

    # Context

    cdef const Element* find(self, uint32_t tag) except? NULL:
        self.ensure()
        return find_element(self.elements, self.count, tag)

    cdef object decoded_small(self, uint32_t tag):
        """The value of an element that context depends on, whether encoded or changed; None where absent or empty."""
        cdef const Element* element
        if self.overlay is not None and tag in self.overlay:
            changed = self.overlay[tag]
            return None if changed is None else (<DataElement>changed).value
        element = self.find(tag)
        return None if element == NULL else self.value_of(element)

    cdef int pixel_representation(self):
        cdef const Element* element
        if self.overlay is None or 0x00280103 not in self.overlay:
            element = self.find(0x00280103)
            if element != NULL and element.length == 2 and not element.flags & FLAG_DEFERRED:
                return load16(self.source.data + element.offset, self.big)
        else:
            value = self.decoded_small(0x00280103)
            if isinstance(value, int):
                return 1 if value else 0
        return self.inherited_representation

    cdef bytes encoded_charset(self):
        """Specific Character Set as the bytes decoded here have it, own or inherited; None where there is none."""
        cdef const Element* element
        if self.own_charset is None:
            element = self.find(0x00080005)
            if element == NULL or element.flags & FLAG_DEFERRED:
                self.own_charset = self.inherited_charset if self.inherited_charset is not None else b""
            else:
                self.own_charset = self.source.data[element.offset:element.offset + element.length]
        return self.own_charset

    cdef tuple repertoires(self):
        """The Python encodings of text decoded here."""
        return encodings_of(self.encoded_charset())

    cdef uint16_t vr_of(self, const Element* element) except 0:
        """The VR of an encoded element: the one it states, else what dictionary and context say."""
        cdef uint16_t vr = element.vr
        cdef uint16_t known
        if vr != VR_NONE and vr != VR_UN and info_of(vr).kind != KIND_UNKNOWN:
            return vr
        known = self.known_vr(element.tag)
        if element.flags & FLAG_UNDEFINED:
            # Undefined length: a sequence, or Pixel Data in fragments (PS3.5 A.4).
            if known == VR_OB or known == VR_OW or known == VR_OB_OR_OW:
                return VR_OB
            return VR_SQ
        if known == VR_SQ and not self.holds_items(element):
            return VR_UN
        if known <= VR_LAST_AMBIGUOUS:
            return self.resolve(element.tag, known, vr == VR_NONE)
        return known

    cdef bint holds_items(self, const Element* element):
        cdef bint big = self.big and element.vr != VR_UN
        if element.flags & FLAG_DEFERRED:
            return True
        if element.length < 8:
            return element.length == 0
        return load_tag(self.source.data + element.offset, big) == TAG_ITEM

    cdef uint16_t known_vr(self, uint32_t tag) except 0:
        """The VR that the dictionaries have for a tag, ambiguous ones as they are; UN where unknown."""
        cdef uint16_t known
        if tag & 0x10000:
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                return VR_LO
            if tag & 0xFF00:
                creator = self.decoded_small((tag & 0xFFFF0000) | ((tag >> 8) & 0xFF))
                if type(creator) is str:
                    return private_vr(tag, <str>creator)
            return VR_UN if tag & 0xFFFF else VR_UL
        known = standard_vr(tag)
        return known if known != VR_NONE else VR_UN

    cdef uint16_t resolve(self, uint32_t tag, uint16_t choice, bint implicit) except 0:
        """What a choice of VRs means here (PS3.5 A.1, A.2, 8.1.2; PS3.3 C.7.6.3.1, C.11.1.1)."""
        if choice == VR_US_OR_SS:
            return VR_SS if self.pixel_representation() == 1 else VR_US
        if choice == VR_OB_OR_OW:
            if implicit:
                return VR_OW
            bits = self.decoded_small(0x54001004 if tag >> 16 == 0x5400 else 0x00280100)
            return VR_OB if isinstance(bits, int) and bits <= 8 else VR_OW
        if choice == VR_US_OR_OW:
            descriptor = self.decoded_small(0x00283002)
            return VR_US if isinstance(descriptor, list) and descriptor and descriptor[0] == 1 else VR_OW
        return VR_OW

    # Values

    cdef object raw_of(self, const Element* element):
        """What gives the bytes of an element's value as a buffer."""
        if element.flags & FLAG_DEFERRED:
            return self.source.read_deferred(element.offset, element.length)
        return self.view_between(element.offset, element.length)

    cdef object view_between(self, uint64_t offset, uint64_t length):
        return memoryview(self.source.view.obj).cast("B")[offset:offset + length]

    cdef object value_of(self, const Element* element):
        cdef uint16_t vr
        cdef bytes held
        if self.cache is not None:
            value = self.cache.get(element.tag)
            if value is not None:
                return value
        vr = self.vr_of(element)
        if vr == VR_SQ:
            value = items_of(self, element)
            self.keep(element.tag, value)
            return value
        if element.flags & FLAG_DEFERRED:
            held = bytes(self.raw_of(element))
            return decode_value(self, vr, <const uint8_t*>PyBytes_AS_STRING(held), PyBytes_GET_SIZE(held), self.big)
        value = self.decode(element, vr)
        if type(value) is list:
            self.keep(element.tag, value)
        return value

    cdef inline object decode(self, const Element* element, uint16_t vr):
        # What was UN is in little endian (PS3.5 6.2.2).
        return decode_value(self, vr, self.source.data + element.offset, <Py_ssize_t>element.length,
                            self.big and element.vr != VR_UN)

    cdef int keep(self, uint32_t tag, value) except -1:
        if self.cache is None:
            self.tell_collector()
            self.cache = {}
        self.cache[tag] = value
        return 0

    cdef int tell_collector(self) except -1:
        """Has the garbage collector look at this, if it did not: what is about to be kept here may lead back to it."""
        if not PyObject_GC_IsTracked(self):
            PyObject_GC_Track(self)
        return 0

    # Elements by tag

    cdef DataElement element_at(self, uint32_t tag):
        """The element with that tag, or None."""
        cdef const Element* element
        if self.overlay is not None:
            changed = self.overlay.get(tag, self)
            if changed is not self:
                return None if changed is None else self.in_context(<DataElement>changed)
        element = self.find(tag)
        return None if element == NULL else view_of(self, element)

    cdef DataElement in_context(self, DataElement element):
        """Settles the VR of an element that was set under a choice of VRs, where the data set says which it is."""
        if element.code <= VR_LAST_AMBIGUOUS:
            element.settled = VR_NONE
            if element.code != VR_US_OR_SS or self.pixel_representation() >= 0:
                element.settled = self.resolve(element.number, element.code, False)
        return element

    cdef int put(self, DataElement element) except -1:
        if self.overlay is None:
            self.tell_collector()
            self.overlay = {}
        self.ensure()
        if element.element != NULL:  # a view into a data set, which has no value of its own
            element = element.__copy__()
        self.overlay[element.number] = element
        if self.cache is not None:
            self.cache.pop(element.number, None)
        return 0

    cdef bint has(self, uint32_t tag) except -1:
        if self.overlay is not None:
            changed = self.overlay.get(tag, self)
            if changed is not self:
                return changed is not None
        return self.find(tag) != NULL

    cdef int remove(self, uint32_t tag) except -1:
        if not self.has(tag):
            raise KeyError(Tag(tag))
        if find_element(self.elements, self.count, tag) != NULL:
            if self.overlay is None:
                self.tell_collector()
                self.overlay = {}
            self.overlay[tag] = None
        else:
            del self.overlay[tag]
        if self.cache is not None:
            self.cache.pop(tag, None)
        return 0

    def __len__(self):
        cdef Py_ssize_t total
        self.ensure()
        total = self.count
        if self.overlay is not None:
            for tag, element in self.overlay.items():
                total += (element is not None) - (find_element(self.elements, self.count, tag) != NULL)
        return total

    def __iter__(self):
        return iterate(self)

    def iterall(self):
        """Every element, each sequence followed by the elements of its items."""
        return walk_all(self)

    def __contains__(self, key):
        try:
            return self.has(tag_of(key))
        except (KeyError, TypeError, ValueError, OverflowError):
            return False

    def __getitem__(self, key):
        if isinstance(key, slice):
            return self._part(key)
        element = self.element_at(tag_of(key))
        if element is None:
            raise KeyError(key if isinstance(key, str) else to_tag(key))
        return element

    def __delitem__(self, key):
        self.remove(tag_of(key))

    def __getattribute__(self, str name):
        # Keywords that were asked for before are looked up first: a failing look-up costs more than everything else.
        cdef const Element* element
        # There is no __getattr__ beside: with both, Python has subclasses look for the two with every attribute.
        tag = keyword_tags.get(name)
        if tag is None:
            try:
                return PyObject_GenericGetAttr(self, name)
            except AttributeError:
                tag = keyword_tag(name)
                if tag is None:
                    raise AttributeError(
                        f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
                    ) from None
        if self.overlay is None:
            element = self.find(tag)
            if element != NULL:
                return self.value_of(element)
        else:
            changed = self.element_at(tag)
            if changed is not None:
                return (<DataElement>changed).value
        raise AttributeError(f"the data set has no {name}", name=name, obj=self)

    def __setattr__(self, str name, value):
        tag = keyword_tag(name)
        if tag is None:
            set_attribute(self, name, value)
        else:
            self.set_value(tag, value)

    def __delattr__(self, str name):
        tag = keyword_tag(name)
        if tag is None:
            PyObject_GenericSetAttr(self, name, NULL)
        elif not self.has(tag):
            raise AttributeError(f"the data set has no {name}", name=name, obj=self)
        else:
            self.remove(tag)

    cdef int set_value(self, uint32_t tag, value) except -1:
        """Sets a value under the dictionary's VR; where that leaves a choice, under the VR that the element has."""
        cdef uint16_t known = self.known_vr(tag)
        cdef DataElement element
        if known <= VR_LAST_AMBIGUOUS or known == VR_UN:
            element = self.element_at(tag)
            if element is not None:
                element.value = value
                return 0
        self.put(new_element(tag, known, value))
        return 0

    def _put(self, DataElement element not None):
        self.put(element)

    def _value(self, uint32_t tag, default):
        element = self.element_at(tag)
        return default if element is None else (<DataElement>element).value

    def _first_values(self, tuple tags):
        """The first value of each element with those tags; None for one that is absent, empty or malformed."""
        return [first_value(self, tag) for tag in tags]

    def _element(self, uint32_t tag):
        return self.element_at(tag)

    def _put_missing(self, elements):
        put_missing(self, elements)

    def _set(self, uint32_t tag, value):
        self.set_value(tag, value)

    # State

    @property
    def _implicit(self):
        return bool(self.implicit)

    @property
    def _big(self):
        return bool(self.big)

    @property
    def _decoded(self):
        return self.source is not None

    @property
    def truncated(self):
        """The DecodeError that says where the encoded data ended too early; None where it did not."""
        self.ensure()
        return self.trouble

    @property
    def is_undefined_length_sequence_item(self):
        return bool(self.item_undefined)

    def _original(self):
        return None if self.source is None else self.source.original

    def __sizeof__(self):
        return object.__sizeof__(self) + self.count * sizeof(Element)

    cdef bint list_changed(self, const Element* element, list value) except -1:
        """Whether a list that was handed out is no longer what is encoded; a NaN is like any other."""
        cdef Py_ssize_t i
        cdef list encoded
        fresh = self.decode(element, self.vr_of(element))
        if type(fresh) is not list:
            return True
        encoded = <list>fresh
        if len(encoded) != len(value):
            return True
        for i in range(len(encoded)):
            if value[i] != encoded[i] and (value[i] == value[i] or encoded[i] == encoded[i]):
                return True
            if type(value[i]) is DS and type(encoded[i]) is DS and (<DS>value[i]).text != (<DS>encoded[i]).text:
                return True
        return False

    cdef bint modified(self) except -1:
        """Whether encoding would give other bytes than were decoded."""
        cdef const Element* element
        if self.overlay or self.selected:
            return True
        if self.cache is not None:
            for tag, value in self.cache.items():
                if type(value) is Sequence:
                    if (<Sequence>value).modified():
                        return True
                    continue
                element = find_element(self.elements, self.count, tag)
                if self.list_changed(element, <list>value):
                    return True
        return False

    def _modified(self):
        return self.source is None or self.modified()

    def _copy_to(self, Core other not None):
        """Makes `other`, which is new, the same data set over the same bytes, without what was changed."""
        copy_to(self, other)
        other.transfer_syntax = self.transfer_syntax

    def _select_into(self, Core other not None, keys):
        """Makes `other`, which is new, a data set of the elements with those tags as they are now."""
        select_into(self, other, keys)
        other.transfer_syntax = self.transfer_syntax

    def _changes(self):
        """Everything that differs from the encoded bytes: tag to element, None for what was deleted."""
        cdef const Element* element
        cdef dict changes = dict(self.overlay) if self.overlay else {}
        if self.cache is not None:
            for tag, value in self.cache.items():
                element = find_element(self.elements, self.count, tag)
                if type(value) is Sequence:
                    if not (<Sequence>value).modified():
                        continue
                elif not self.list_changed(element, <list>value):
                    continue
                changes[tag] = new_element(tag, self.vr_of(element), value)
        return changes

    def _apply(self, dict changes):
        for tag, element in changes.items():
            if element is None:
                self.remove(tag)
            else:
                self.put(element)


def set_item_type(cls):
    """Makes `cls`, a subclass of `Core`, the type of sequence items."""
    global item_type
    item_type = cls


include "dataset_keys.pxi"
include "dataset_label.pxi"
include "dataset_outline.pxi"
include "dataset_values.pxi"
include "dataset_decode.pxi"
include "dataset_element.pxi"
include "dataset_sequence.pxi"
include "dataset_strict.pxi"
include "dataset_set.pxi"
include "dataset_select.pxi"
include "dataset_encode.pxi"
include "dataset_messages.pxi"
include "dataset_repertoire.pxi"
include "dataset_json.pxi"
include "dataset_head.pxi"
