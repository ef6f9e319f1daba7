# Sequences of items (PS3.5 7.5). Where the items are is found when the sequence is asked for; an item becomes a data set
# when it is asked for itself.

# Where an item's data set is in the source: 24 bytes an item.
cdef struct ItemPlace:
    uint64_t start
    uint64_t end
    bint undefined            # the item's length


cdef class Sequence:
    """The value of an element of VR SQ: its items, which are data sets, with the methods of a list.

    Invariants: `items` has a data set for each item, or None for one that has not been asked for, which stands at the same
    place in `places`. Whatever changes which items there are, and in what order, makes all of them first (`changing`)
    and sets `changed`; so does a program that makes the sequence itself. What all items have in common stands here.
    """

    cdef list items
    cdef ItemPlace* places
    cdef size_t decoded               # how many `places`
    cdef bint changed
    cdef public bint is_undefined_length
    cdef Source source
    cdef bint implicit
    cdef bint big
    cdef int depth
    cdef int representation
    cdef bytes charset
    cdef tuple where                  # `Core.where` of the items

    def __cinit__(self):
        self.items = []

    def __init__(self, items=()):
        if isinstance(items, Core):
            raise TypeError("a sequence is made of several data sets: put the one into a list")
        self.changed = True
        self.items = [checked_item(item) for item in items]

    def __dealloc__(self):
        free(self.places)

    cdef Core item_at(self, Py_ssize_t number):
        """The item, which from then on is the sequence's."""
        item = self.items[number]
        if item is None:
            item = self.items[number] = self.decoded_item(number)
        return <Core>item

    cdef Core glance(self, Py_ssize_t number):
        """The item, for reading only: one that nobody has asked for is made anew each time."""
        item = self.items[number]
        return self.decoded_item(number) if item is None else <Core>item

    cdef Core decoded_item(self, Py_ssize_t number):
        cdef const ItemPlace* place = &self.places[number]
        cdef Core item = new_item()
        item.source = self.source
        item.start = place.start
        item.end = place.end
        item.item_undefined = place.undefined
        item.to_the_end = place.end == self.source.size
        item.implicit = self.implicit
        item.big = self.big
        item.depth = self.depth
        item.inherited_representation = self.representation
        item.inherited_charset = self.charset
        item.where = self.where
        item.number = <uint32_t>number
        item.indexed = False
        return item

    cdef list loaded(self):
        cdef Py_ssize_t i
        for i in range(len(self.items)):
            self.item_at(i)
        return self.items

    cdef list changing(self):
        self.loaded()
        self.changed = True
        return self.items

    cdef bint modified(self) except -1:
        """Whether encoding would give other bytes than were decoded."""
        cdef Core item
        if self.changed:
            return True
        for one in self.items:
            if one is not None:
                item = <Core>one
                if (item.overlay is not None or item.cache is not None) and item.modified():
                    return True
        return False

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        cdef Py_ssize_t i = 0
        while i < len(self.items):
            yield self.item_at(i)
            i += 1

    def __getitem__(self, key):
        if isinstance(key, slice):
            return [self.item_at(i) for i in range(*key.indices(len(self.items)))]
        number = key.__index__()
        if number < 0:
            number += len(self.items)
        if not 0 <= number < len(self.items):
            raise IndexError(f"the sequence has {len(self.items)} items")
        return self.item_at(number)

    def __setitem__(self, key, value):
        self.changing()[key] = [checked_item(item) for item in value] if isinstance(key, slice) else checked_item(value)

    def __delitem__(self, key):
        del self.changing()[key]

    def __contains__(self, item):
        return item in self.loaded()

    def __eq__(self, other):
        if isinstance(other, Sequence):
            return self is other or self.loaded() == (<Sequence>other).loaded()
        return self.loaded() == other if isinstance(other, list) else NotImplemented

    __hash__ = None

    def __iadd__(self, items):
        self.extend(items)
        return self

    def append(self, item):
        item = checked_item(item)
        self.changing().append(item)

    def extend(self, items):
        fresh = [checked_item(item) for item in items]
        self.changing().extend(fresh)

    def insert(self, index, item):
        item = checked_item(item)
        self.changing().insert(index, item)

    def pop(self, index=-1):
        return self.changing().pop(index)

    def remove(self, item):
        self.changing().remove(item)

    def clear(self):
        self.changing().clear()

    def reverse(self):
        self.changing().reverse()

    def sort(self, *, key, reverse=False):
        self.changing().sort(key=key, reverse=reverse)

    def index(self, item, *bounds):
        return self.loaded().index(item, *bounds)

    def count(self, item):
        return self.loaded().count(item)

    def __repr__(self):
        return f"<Sequence of {len(self.items)} items>"

    def __copy__(self):
        copy = Sequence(self)
        copy.is_undefined_length = self.is_undefined_length
        return copy

    def __deepcopy__(self, memo):
        from copy import deepcopy

        copy = Sequence([deepcopy(item, memo) for item in self])
        copy.is_undefined_length = self.is_undefined_length
        return copy

    def __reduce__(self):
        return rebuild_sequence, (list(self), self.is_undefined_length)


def rebuild_sequence(items, undefined):
    sequence = Sequence(items)
    sequence.is_undefined_length = undefined
    return sequence


cdef Core checked_item(item):
    """An item that a program gives: a data set, or what is made of one of pydicom's."""
    if isinstance(item, Core):
        return <Core>item
    from aiodicom.dataset import interop

    if not interop.is_pydicom(item):
        raise TypeError(f"items of a sequence are data sets, not {type(item).__name__}")
    return interop.from_pydicom(item)


cdef Sequence items_of(Core data_set, const Element* element):
    """The sequence that an element's value is."""
    cdef Source source = data_set.source
    cdef Sequence sequence = Sequence.__new__(Sequence)
    cdef Cursor cursor
    cdef bint undefined, open_ended, last
    cdef uint64_t start = 0, length = 0
    cdef int outcome
    cdef size_t space = 0
    cdef ItemPlace* grown
    if data_set.depth >= source.max_depth:
        raise data_set.error("sequences are nested too deeply", element.offset, element.tag)
    if element.flags & FLAG_DEFERRED:
        raise data_set.error("a sequence was left out", element.offset, element.tag)
    cursor.data = source.data
    cursor.pos = element.offset
    cursor.end = element.offset + element.length
    cursor.big = data_set.big and element.vr != VR_UN
    last = cursor.end == source.size  # nothing follows: an item that goes on was cut with the data
    sequence.is_undefined_length = (element.flags & FLAG_UNDEFINED) != 0
    sequence.source = source
    sequence.implicit = (element.flags & FLAG_IMPLICIT) != 0 or element.vr == VR_UN or element.vr == VR_NONE
    sequence.big = cursor.big
    while True:
        outcome = next_item(&cursor, sequence.implicit, source.max_depth, data_set.depth, source.strict, &start, &length,
                            &undefined, &open_ended)
        if outcome == 0:
            break
        if (outcome == -CUT or open_ended) and last and not source.strict:
            # Understood here; in front of anything else it would not be, so that it is never copied.
            (<Element*>element).flags |= FLAG_CLIPPED | FLAG_IRREGULAR
            data_set.tidy = False
            if data_set.trouble is None:
                data_set.trouble = data_set.error("the data ends inside an item", cursor.pos, element.tag)
            if outcome < 0:
                break
        elif outcome < 0 or open_ended:
            raise data_set.error(ITEM_FAULTS.get(outcome, "an item goes past the end of its sequence"), cursor.pos,
                                 element.tag)
        if sequence.decoded >= source.max_elements:
            raise data_set.error(f"more than {source.max_elements} items", cursor.pos, element.tag)
        if sequence.decoded == space:
            space = space * 2 if space else 4
            grown = <ItemPlace*>realloc(sequence.places, space * sizeof(ItemPlace))
            if grown == NULL:
                raise MemoryError
            sequence.places = grown
        sequence.places[sequence.decoded] = ItemPlace(start, start + length, undefined)
        sequence.decoded += 1
    if sequence.decoded:
        sequence.items = [None] * <Py_ssize_t>sequence.decoded
        sequence.depth = data_set.depth + 1
        sequence.representation = data_set.pixel_representation()
        sequence.charset = data_set.encoded_charset()
        sequence.where = (data_set.where, data_set.number, element.tag)
    return sequence


