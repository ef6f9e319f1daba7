"""Command sets (PS3.7 6.3, annex E): bytes to typed messages and back.

One codec serves all messages.  What elements a message has is told by its class (see ``aiodicom/dimse/messages.py``); this
module knows only how a value of each kind is written.  Command sets are always implicit VR little endian.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject, PyObject_GetAttr, PyTypeObject, descrsetfunc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from aiodicom.errors import DecodeError, LocalError

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    ctypedef struct TypeObject "PyTypeObject":
        descrsetfunc tp_descr_set
    TypeObject* Py_TYPE(object)

cdef enum:
    #: Element numbers known to the codec lie below this.
    ELEMENT_NUMBERS = 0x1040
    MAX_ELEMENTS = 32
    COMMAND_FIELD = 0x0100
    IS_RESPONSE = 0x8000
    AFFECTED_SOP_CLASS_UID = 0x0002
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    STATUS_ELEMENT = 0x0900
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    #: (0000,0902) is for people: it is made to fit its VR, LO, where another value would be refused.
    ERROR_COMMENT = 0x0902
    MAXIMUM_COMMENT = 64
    DATA_SET_TYPE = 0x0800
    NO_DATA_SET = 0x0101
    DATA_SET_FOLLOWS = 0x0001

cdef enum Kind:
    US
    STATUS
    DATA_SET
    TEXT
    UID
    TAGS

cdef tuple NO_ARGUMENTS = ()

cdef dict KINDS = {"US": US, "STATUS": STATUS, "DATA_SET": DATA_SET, "AE": TEXT, "LO": TEXT, "UI": UID, "AT": TAGS}

#: The largest command set that is written or read; real ones stay under 1 KiB.
MAXIMUM_COMMAND_LENGTH = 65536


cdef inline uint16_t get_u16(const uint8_t* p) noexcept nogil:
    return p[0] | (<uint16_t> p[1] << 8)


cdef inline uint32_t get_u32(const uint8_t* p) noexcept nogil:
    return p[0] | (<uint32_t> p[1] << 8) | (<uint32_t> p[2] << 16) | (<uint32_t> p[3] << 24)


cdef inline void put_u16(uint8_t* p, uint16_t v) noexcept nogil:
    p[0] = v & 0xFF
    p[1] = v >> 8


cdef inline void put_u32(uint8_t* p, uint32_t v) noexcept nogil:
    p[0] = v & 0xFF
    p[1] = (v >> 8) & 0xFF
    p[2] = (v >> 16) & 0xFF
    p[3] = v >> 24


cdef inline uint8_t* put_header(uint8_t* p, uint32_t element, uint32_t length) noexcept nogil:
    """Writes tag and length of an element of group 0000 and returns where its value goes."""
    put_u16(p, 0)
    put_u16(p + 2, element)
    put_u32(p + 4, length)
    return p + 8


cdef tuple checked_tags(value, name):
    """Returns what is to be written, whatever becomes of the caller's own object meanwhile."""
    if not isinstance(value, (tuple, list)):
        raise LocalError(f"{name} is {value!r}, not a tuple of tags")
    tags = tuple(value)
    for tag in tags:
        if not (isinstance(tag, int) and 0 <= tag <= 0xFFFFFFFF):
            raise LocalError(f"{name} has {tag!r}, which is not a tag as a number of 32 bits")
    return tags


cdef struct Found:
    const uint8_t* value
    uint32_t length


cdef class MessagePlan:
    """How one message class is read and written.

    Invariants: the four tuples and three arrays run over the same fields, in the ascending order of their elements, which is
    the order on the wire; `command_at` is the position among them before which (0000,0100) stands.
    """

    cdef type cls
    cdef object command_field
    cdef uint16_t command
    cdef int count
    cdef int command_at
    cdef tuple names
    cdef tuple setters
    #: The same in the order in which the class takes its arguments.
    cdef tuple arguments
    cdef tuple defaults
    cdef uint16_t elements[MAX_ELEMENTS]
    cdef uint8_t kinds[MAX_ELEMENTS]
    cdef uint8_t mandatory[MAX_ELEMENTS]

    def __cinit__(self, type cls, dict elements):
        from dataclasses import MISSING, fields

        cdef int k
        known = sorted(fields(cls), key=lambda field: elements[field.name][0])
        self.cls = cls
        self.command_field = cls.COMMAND_FIELD
        self.command = cls.COMMAND_FIELD or 0
        self.count = len(known)
        self.names = tuple(field.name for field in known)
        self.setters = tuple(getattr(cls, field.name) for field in known)
        self.arguments = tuple(getattr(cls, field.name) for field in fields(cls))
        self.defaults = tuple(None if field.default is MISSING else field.default for field in known)
        self.command_at = self.count
        for k, field in enumerate(known):
            number, kind = elements[field.name]
            self.elements[k] = number
            self.kinds[k] = KINDS[kind]
            self.mandatory[k] = field.default is MISSING
            if number > COMMAND_FIELD and self.command_at == self.count:
                self.command_at = k
        if cls.COMMAND_FIELD is None:
            self.command_at = -1  # the message carries it as a field of its own


cdef class CommandCodec:
    """Encodes and decodes the command sets of the message classes that it is made with.

    Invariants: `position[n]` is 1 + the index in `found` of element (0000,n), or 0 for elements that no message has.
    """

    cdef dict by_class
    cdef dict by_command
    cdef MessagePlan unrecognized
    cdef object status_type
    cdef dict statuses
    cdef uint8_t position[ELEMENT_NUMBERS]

    def __cinit__(self, tuple messages, type unrecognized, dict elements, status_type):
        cdef int k
        if len(elements) >= MAX_ELEMENTS:
            raise ValueError("too many elements")
        for k in range(ELEMENT_NUMBERS):
            self.position[k] = 0
        for k, (number, _) in enumerate(elements.values()):
            self.position[<int> number] = k + 1
        plans = [MessagePlan(cls, elements) for cls in messages]
        self.by_class = {cls: plan for cls, plan in zip(messages, plans)}
        self.by_command = {cls.COMMAND_FIELD: plan for cls, plan in zip(messages, plans) if cls.COMMAND_FIELD is not None}
        self.unrecognized = MessagePlan(unrecognized, elements)
        self.status_type = status_type
        self.statuses = {}

    cdef object status(self, uint16_t code):
        """Statuses repeat, so their members are remembered; a peer that sends ever new ones doesn't make this grow."""
        member = self.statuses.get(code)
        if member is None:
            member = self.status_type(code)
            if len(self.statuses) < 256:
                self.statuses[code] = member
        return member

    cdef object value(self, uint8_t kind, const uint8_t* p, uint32_t length, uint32_t element):
        cdef uint32_t k
        if kind == US or kind == STATUS or kind == DATA_SET:
            if length != 2:
                raise DecodeError(f"element of VR US has {length} bytes, not 2", path=f"(0000,{element:04X})")
            if kind == US:
                return get_u16(p)
            return self.status(get_u16(p)) if kind == STATUS else get_u16(p) != NO_DATA_SET
        if kind == TAGS:
            if length % 4:
                raise DecodeError(f"element of VR AT has {length} bytes", path=f"(0000,{element:04X})")
            return tuple([(<uint32_t> get_u16(p + 4 * k) << 16) | get_u16(p + 4 * k + 2) for k in range(length // 4)])
        while length and (p[length - 1] == 0x20 or p[length - 1] == 0):
            length -= 1
        if kind == TEXT:
            while length and p[0] == 0x20:
                p += 1
                length -= 1
        return PyUnicode_DecodeLatin1(<char*> p, length, NULL)

    def decode(self, data):
        """Returns the message of one whole command set.

        Elements that PS3.7 doesn't define for the message are ignored, and so is (0000,0000), which many peers get wrong.
        A UID that is missing where PS3.7 wants one reads as an empty string: the operation is then refused by its status.
        Raises `DecodeError` for what is no command set.
        """
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.decode_at(<const uint8_t*> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef object decode_at(self, const uint8_t* data, Py_ssize_t size):
        cdef Found found[MAX_ELEMENTS]
        cdef Py_ssize_t offset = 0
        cdef uint32_t length
        cdef uint16_t element
        cdef int k, at
        cdef MessagePlan plan
        cdef descrsetfunc store
        if size > MAXIMUM_COMMAND_LENGTH:
            raise DecodeError(f"command set of {size} bytes exceeds {MAXIMUM_COMMAND_LENGTH}")
        for k in range(MAX_ELEMENTS):
            found[k].value = NULL
        while offset < size:
            if size - offset < 8:
                raise DecodeError("command set ends inside an element's header", offset)
            if get_u16(data + offset) != 0:
                raise DecodeError("element of another group in a command set", offset)
            element = get_u16(data + offset + 2)
            length = get_u32(data + offset + 4)
            if length > <size_t> (size - offset - 8):
                raise DecodeError(f"length {length} overruns the command set", offset, f"(0000,{element:04X})")
            at = self.position[element] if element < ELEMENT_NUMBERS else 0
            if at:
                if found[at].value != NULL:
                    raise DecodeError("element occurs twice", offset, f"(0000,{element:04X})")
                found[at].value = data + offset + 8
                found[at].length = length
            offset += 8 + length
        at = self.position[COMMAND_FIELD]
        if found[at].value == NULL:
            raise DecodeError("command set without Command Field", path="(0000,0100)")
        command = self.value(US, found[at].value, found[at].length, COMMAND_FIELD)
        plan = self.by_command.get(command)
        if plan is None:
            if <int> command & 0x8000:
                raise DecodeError(f"response with unknown Command Field {command:04X}H", path="(0000,0100)")
            plan = self.unrecognized
        if found[self.position[DATA_SET_TYPE]].value == NULL:
            raise DecodeError("command set without Command Data Set Type", path="(0000,0800)")
        message = (<PyTypeObject*> plan.cls).tp_new(plan.cls, <PyObject*> NO_ARGUMENTS, NULL)
        for k in range(plan.count):
            at = self.position[plan.elements[k]]
            if found[at].value != NULL:
                value = self.value(plan.kinds[k], found[at].value, found[at].length, plan.elements[k])
            elif not plan.mandatory[k]:
                value = plan.defaults[k]
            elif plan.kinds[k] == UID or plan.kinds[k] == TEXT:
                value = ""
            elif plan is self.unrecognized:
                value = 0
            else:
                raise DecodeError(f"{plan.cls.__name__} without its {plan.names[k]}", path=f"(0000,{plan.elements[k]:04X})")
            # The classes are frozen: their slots are filled the way their own __init__ would, at a fraction of its cost.
            store = Py_TYPE(plan.setters[k]).tp_descr_set
            store(plan.setters[k], message, value)
        return message

    def make(self, type cls, tuple fields, first):
        """Returns `cls(first, *fields)`, where all its arguments are given, in a quarter of the time; the first is the message ID
        of requests, which is known last.

        The classes are frozen, so that their own __init__ looks up for every field how it is set.
        """
        cdef MessagePlan plan = self.by_class[cls]
        cdef Py_ssize_t k
        cdef descrsetfunc store
        if 1 + len(fields) != len(plan.arguments):
            raise TypeError(f"{cls.__name__} has {len(plan.arguments)} fields, not {1 + len(fields)}")
        message = (<PyTypeObject*> cls).tp_new(cls, <PyObject*> NO_ARGUMENTS, NULL)
        for k in range(len(plan.arguments)):
            store = Py_TYPE(plan.arguments[k]).tp_descr_set
            store(plan.arguments[k], message, fields[k - 1] if k else first)
        return message

    def encode(self, message):
        """Returns the command set of a message, (0000,0000) included.

        Raises `LocalError` for values that don't fit their element.
        """
        cdef MessagePlan plan = self.by_class.get(type(message))
        cdef Py_ssize_t size = 12
        cdef Py_ssize_t length
        cdef int k, kind
        cdef uint8_t* p
        cdef const char* text
        cdef list values = []
        if plan is None:
            raise LocalError(f"{type(message).__name__} is not a message of PS3.7")
        if plan.command_at >= 0:
            size += 10
        for k in range(plan.count):
            kind = plan.kinds[k]
            value = PyObject_GetAttr(message, plan.names[k])
            if value is None:
                if plan.mandatory[k] or kind == DATA_SET:
                    raise LocalError(f"{plan.cls.__name__} has to have its {plan.names[k]}")
            elif kind == TEXT or kind == UID:
                if not isinstance(value, str):
                    raise LocalError(f"{plan.names[k]} is {value!r}, not a string")
                if plan.elements[k] == ERROR_COMMENT:
                    value = value[:MAXIMUM_COMMENT].encode("ascii", "replace").decode("ascii")
                elif not PyUnicode_IS_ASCII(value):
                    raise LocalError(f"{plan.names[k]} is {value!r}, which ASCII doesn't hold")
                PyUnicode_AsUTF8AndSize(value, &length)
                size += 8 + length + (length & 1)
            elif kind == TAGS:
                value = checked_tags(value, plan.names[k])
                if value:
                    size += 8 + 4 * len(<tuple> value)
            else:
                if kind != DATA_SET and not (isinstance(value, int) and 0 <= value <= 0xFFFF):
                    raise LocalError(f"{plan.names[k]} is {value!r}, not a number of 16 bits")
                size += 10
            values.append(value)
        if size > MAXIMUM_COMMAND_LENGTH:
            raise LocalError(f"command set of {size} bytes exceeds {MAXIMUM_COMMAND_LENGTH}")
        encoded = PyBytes_FromStringAndSize(NULL, size)
        p = put_header(<uint8_t*> PyBytes_AS_STRING(encoded), 0, 4)
        put_u32(p, size - 12)
        p += 4
        for k in range(plan.count + 1):
            if k == plan.command_at:
                p = put_header(p, COMMAND_FIELD, 2)
                put_u16(p, plan.command)
                p += 2
            if k == plan.count:
                break
            value = values[k]
            kind = plan.kinds[k]
            if kind == TEXT or kind == UID:
                if value is not None:
                    text = PyUnicode_AsUTF8AndSize(value, &length)
                    p = put_header(p, plan.elements[k], length + (length & 1))
                    memcpy(p, text, length)
                    p += length
                    if length & 1:
                        p[0] = 0 if kind == UID else 0x20
                        p += 1
            elif kind == TAGS:
                if value:
                    p = put_header(p, plan.elements[k], 4 * len(value))
                    for tag in value:
                        put_u16(p, <uint32_t> tag >> 16)
                        put_u16(p + 2, <uint32_t> tag & 0xFFFF)
                        p += 4
            elif value is not None:
                p = put_header(p, plan.elements[k], 2)
                if kind == DATA_SET:
                    put_u16(p, DATA_SET_FOLLOWS if value else NO_DATA_SET)
                else:
                    put_u16(p, value)
                p += 2
        return encoded


cdef inline uint8_t* put_number(uint8_t* p, uint32_t element, uint16_t value) noexcept nogil:
    p = put_header(p, element, 2)
    put_u16(p, value)
    return p + 2


cdef inline uint8_t* put_uid(uint8_t* p, uint32_t element, const char* uid, Py_ssize_t length) noexcept nogil:
    p = put_header(p, element, length + (length & 1))
    memcpy(p, uid, length)
    p += length
    if length & 1:
        p[0] = 0
        p += 1
    return p


cpdef bytes encode_response(
    uint16_t command_field, uint16_t message_id, uint16_t status, str sop_class_uid, str sop_instance_uid
):
    """Returns the command set of a response that says a status and what it repeats of its request, and has no data set.

    The same as encoding a message, at a fraction of the time: C-ECHO and C-STORE are answered with nothing else, thousands
    of times a second. `command_field` is the request's; the UIDs must be valid, `sop_instance_uid` may be None.
    """
    cdef Py_ssize_t class_length, instance_length = 0
    cdef const char* class_uid = PyUnicode_AsUTF8AndSize(sop_class_uid, &class_length)
    cdef const char* instance_uid = NULL
    cdef Py_ssize_t size = 12 + 4 * 10 + 8 + class_length + (class_length & 1)
    cdef uint8_t* p
    if sop_instance_uid is not None:
        instance_uid = PyUnicode_AsUTF8AndSize(sop_instance_uid, &instance_length)
        size += 8 + instance_length + (instance_length & 1)
    encoded = PyBytes_FromStringAndSize(NULL, size)
    p = put_header(<uint8_t*> PyBytes_AS_STRING(encoded), 0, 4)
    put_u32(p, size - 12)
    p = put_uid(p + 4, AFFECTED_SOP_CLASS_UID, class_uid, class_length)
    p = put_number(p, COMMAND_FIELD, command_field | IS_RESPONSE)
    p = put_number(p, MESSAGE_ID_BEING_RESPONDED_TO, message_id)
    p = put_number(p, DATA_SET_TYPE, NO_DATA_SET)
    p = put_number(p, STATUS_ELEMENT, status)
    if instance_uid != NULL:
        p = put_uid(p, AFFECTED_SOP_INSTANCE_UID, instance_uid, instance_length)
    return encoded
