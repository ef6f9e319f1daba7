# cython: language_level=3
"""The head of JPEG (ISO/IEC 10918-1) and JPEG-LS (ISO/IEC 14495-1) streams, read before a library sees them."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp

cimport cython

from aiodicom.errors import PixelDataError

cdef enum:
    SOF0 = 0xC0
    DHT = 0xC4
    JPG = 0xC8
    DAC = 0xCC
    SOF15 = 0xCF
    RST0 = 0xD0
    RST7 = 0xD7
    SOI = 0xD8
    EOI = 0xD9
    SOS = 0xDA
    APP0 = 0xE0
    APP14 = 0xEE
    SOF55 = 0xF7                      # of JPEG-LS
    TEM = 0x01
    FILL = 0xFF
    MOST_SEGMENTS = 1000              # and fill bytes before the frame header; a profile of 16 MiB takes 256
    MOST_SCANS = 100                  # of a progressive stream; each costs as much as the whole image


@cython.final
cdef class Header:
    """The frame header: ``process`` is n of SOFn. ``adobe`` is the transform of the Adobe APP14 segment, or None."""

    cdef readonly int process
    cdef readonly int precision
    cdef readonly int rows
    cdef readonly int columns
    cdef readonly tuple components
    cdef readonly bint jfif
    cdef readonly object adobe


def read_header(data, str name not None):
    """What stands before and in the frame header of a stream.

    Raises `aiodicom.errors.PixelDataError` where there is none, and for more scans than an honest stream has.
    """
    cdef Py_buffer buffer
    PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE)
    try:
        return header_of(<const uint8_t*>buffer.buf, buffer.len, name)
    finally:
        PyBuffer_Release(&buffer)


def has_end(data):
    """Whether EOI is there, and behind all scans."""
    cdef Py_buffer buffer
    cdef Py_ssize_t near
    cdef int found
    PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE)
    try:
        near = max(buffer.len - 64, 0)
        found = last_of_ends(<const uint8_t*>buffer.buf, near, buffer.len)
        if not found and near:
            with nogil:
                found = last_of_ends(<const uint8_t*>buffer.buf, 0, near + 1)
        return found == EOI
    finally:
        PyBuffer_Release(&buffer)


cdef int last_of_ends(const uint8_t* data, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """Which of EOI and SOS is the last marker from `first` on; 0 where neither is there."""
    cdef Py_ssize_t at = end - 1
    while at > first:
        if data[at - 1] == FILL and (data[at] == EOI or data[at] == SOS):
            return data[at]
        at -= 1
    return 0


cdef Header header_of(const uint8_t* data, Py_ssize_t end, str name):
    cdef Header header = Header.__new__(Header)
    cdef const uint8_t* segment
    cdef Py_ssize_t at = 2
    cdef int marker, length, number
    if end < 4 or data[0] != FILL or data[1] != SOI:
        raise PixelDataError(f"no {name} stream: it does not begin with SOI")
    for number in range(MOST_SEGMENTS):
        if end - at < 4:
            raise PixelDataError(f"the {name} stream ends before its frame header")
        if data[at] != FILL:
            raise PixelDataError(f"no marker at byte {at} of the {name} stream")
        marker = data[at + 1]
        if marker == FILL:
            at += 1
            continue
        if marker == TEM or RST0 <= marker <= RST7:
            at += 2
            continue
        if marker == EOI or marker == SOS:
            raise PixelDataError(f"the {name} stream has no frame header")
        length = data[at + 2] << 8 | data[at + 3]
        if length < 2 or length > end - at - 2:
            raise PixelDataError(f"segment FF{marker:02X} of the {name} stream has {length} bytes")
        segment = data + at + 4
        at += 2 + length
        if marker == SOF55 or (SOF0 <= marker <= SOF15 and marker != DHT and marker != JPG and marker != DAC):
            take_frame_header(header, marker, segment, length - 2, name)
            if marker != SOF55:  # JPEG-LS has a component in one scan, whatever there is
                check_scans(header, data + at, end - at, name)
            return header
        if marker == APP0 and length >= 6 and memcmp(segment, b"JFIF", 4) == 0:
            header.jfif = True
        elif marker == APP14 and length >= 14 and memcmp(segment, b"Adobe", 5) == 0:
            header.adobe = segment[11]
    raise PixelDataError(f"more than {MOST_SEGMENTS} segments before the frame header of the {name} stream")


cdef int take_frame_header(Header header, int marker, const uint8_t* segment, int size, str name) except -1:
    cdef int i
    if size < 6 or size < 6 + 3 * segment[5]:
        raise PixelDataError(f"the frame header of the {name} stream is too short")
    header.process = marker - SOF0
    header.precision = segment[0]
    header.rows = segment[1] << 8 | segment[2]
    header.columns = segment[3] << 8 | segment[4]
    header.components = tuple([segment[6 + 3 * i] for i in range(segment[5])])
    return 0


cdef int check_scans(Header header, const uint8_t* data, Py_ssize_t size, str name) except -1:
    cdef Py_ssize_t scans
    cdef bint progressive = header.process in (2, 6, 10, 14)
    with nogil:
        scans = count_scans(data, size)
    # Where not progressive, a component is in one scan (ISO/IEC 10918-1 A.2.2). FFDA may also be within a segment.
    if scans > (MOST_SCANS if progressive else len(header.components) + 4):
        raise PixelDataError(f"{scans} scans in the {name} stream")
    return 0


cdef Py_ssize_t count_scans(const uint8_t* data, Py_ssize_t size) noexcept nogil:
    cdef const uint8_t* end = data + size
    cdef Py_ssize_t found = 0
    while data < end:
        data = <const uint8_t*>memchr(data, FILL, end - data)
        if data == NULL or data + 1 == end:
            break
        data += 1
        found += data[0] == SOS
    return found
