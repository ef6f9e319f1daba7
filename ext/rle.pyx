# cython: language_level=3
"""RLE compression of pixel data (PS3.5 annex G).

A frame is a header of 64 bytes and up to 15 segments; each is one byte plane of one sample, the most significant byte
first, packed row by row.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from cursor cimport Cursor, load32, peek, store32
from planes cimport *

from aiodicom.errors import PixelDataError

cdef extern from *:
    """
    /* More than this is never copied in one go; PS3.5 G.3.1. */
    #define RLE_MOST 128

    #define RLE_PAST_SEGMENT (-1)
    #define RLE_PAST_PLANE (-2)

    /* Unpacks a segment until `room` bytes are full or it ends: how many there are, or what is wrong with it. Where there
       is room, whole blocks are copied instead of the exact count: what is too much is overwritten by what follows. */
    static int64_t rle_unpack(const uint8_t* in, size_t size, uint8_t* target, size_t room) {
        const uint8_t* const last = in + size;
        uint8_t* out = target;
        uint8_t* const end = target + room;
        while (out < end && in < last) {
            int code = *in++;
            if (code < 128) {
                size_t count = (size_t)code + 1;
                if (count > (size_t)(last - in)) return RLE_PAST_SEGMENT;
                if (count > (size_t)(end - out)) return RLE_PAST_PLANE;
                if ((size_t)(last - in) >= RLE_MOST && (size_t)(end - out) >= RLE_MOST) {
                    memcpy(out, in, 16);
                    if (count > 16) {
                        memcpy(out + 16, in + 16, 16);
                        if (count > 32) memcpy(out + 32, in + 32, RLE_MOST - 32);
                    }
                } else {
                    memcpy(out, in, count);
                }
                in += count;
                out += count;
            } else if (code > 128) {
                size_t count = 257 - (size_t)code;
                if (in == last) return RLE_PAST_SEGMENT;
                if (count > (size_t)(end - out)) return RLE_PAST_PLANE;
                if ((size_t)(end - out) >= RLE_MOST) {
                    memset(out, *in, 16);
                    if (count > 16) memset(out + 16, *in, RLE_MOST - 16);
                } else {
                    memset(out, *in, count);
                }
                in++;
                out += count;
            }
        }
        return out - target;
    }

    #if defined(__GNUC__) || defined(__clang__)
    #define RLE_FIRST_BYTE(word) ((size_t)__builtin_ctzll(word) >> 3)
    #define RLE_WORDS PLANES_LITTLE
    #else
    #define RLE_FIRST_BYTE(word) 0
    #define RLE_WORDS 0
    #endif

    static inline uint64_t rle_word(const uint8_t* p) {
        uint64_t word;
        memcpy(&word, p, 8);
        return word;
    }

    /* How many bytes from `p` on are the same, at most `most`, which is not 0. */
    static inline size_t rle_run(const uint8_t* p, size_t most) {
        uint64_t all = p[0] * UINT64_C(0x0101010101010101);
        size_t i = 1;
        for (; RLE_WORDS && i + 8 <= most; i += 8) {
            uint64_t other = rle_word(p + i) ^ all;
            if (other) return i + RLE_FIRST_BYTE(other);
        }
        while (i < most && p[i] == p[0]) i++;
        return i;
    }

    /* How many bytes from `p` on precede the first three that are the same, of `left`. */
    static inline size_t rle_literal(const uint8_t* p, size_t left) {
        size_t i = 0;
        for (; RLE_WORDS && i + 10 <= left; i += 8) {
            uint64_t next = rle_word(p + i + 1);
            uint64_t other = (rle_word(p + i) ^ next) | (next ^ rle_word(p + i + 2));
            uint64_t zero = (other - UINT64_C(0x0101010101010101)) & ~other & UINT64_C(0x8080808080808080);
            if (zero) return i + RLE_FIRST_BYTE(zero);
        }
        for (; i + 2 < left; i++) {
            if (p[i] == p[i + 1] && p[i] == p[i + 2]) return i;
        }
        return left;
    }

    /* Packs a row (PS3.5 G.3.1). Two equal bytes are a run where nothing literal precedes them, which never costs more,
       and literal elsewhere, which never does either. `out` has room for a byte more in every 128. */
    static uint8_t* rle_pack(const uint8_t* p, size_t left, uint8_t* out) {
        while (left) {
            size_t run = rle_run(p, left < RLE_MOST ? left : RLE_MOST);
            if (run >= 2) {
                *out++ = (uint8_t)(257 - run);
                *out++ = *p;
                p += run;
                left -= run;
                continue;
            }
            size_t literal = rle_literal(p, left < RLE_MOST + 2 ? left : RLE_MOST + 2);
            if (literal > RLE_MOST) literal = RLE_MOST;
            *out++ = (uint8_t)(literal - 1);
            memcpy(out, p, literal);
            out += literal;
            p += literal;
            left -= literal;
        }
        return out;
    }
    """
    const int64_t RLE_PAST_SEGMENT
    const int64_t RLE_PAST_PLANE
    int64_t rle_unpack(const uint8_t*, size_t, uint8_t*, size_t) noexcept nogil
    uint8_t* rle_pack(const uint8_t*, size_t, uint8_t*) noexcept nogil


cdef enum:
    HEADER = 64
    MOST_SEGMENTS = 15


cdef int check_shape(uint64_t rows, uint64_t columns, uint64_t samples, uint64_t width, uint64_t size) except -1:
    """The shape is one that RLE can have, and `size` bytes are just what it needs."""
    if not (0 < rows <= 0xFFFFFFFF and 0 < columns <= 0xFFFFFFFF and samples and width):
        raise ValueError("a frame has rows, columns, samples and bytes")
    if samples > MOST_SEGMENTS or width > MOST_SEGMENTS or samples * width > MOST_SEGMENTS:
        raise ValueError(f"RLE has at most {MOST_SEGMENTS} segments (PS3.5 G.5)")
    if rows * columns > <uint64_t>0x7FFFFFFFFFFFFFFF // MOST_SEGMENTS or size != rows * columns * samples * width:
        raise ValueError("the buffer has not the size of the frame")
    return 0


cdef void join(uint8_t* target, const uint8_t* planes, uint64_t pixels, uint64_t samples,
               uint64_t width) noexcept nogil:
    """Byte planes, the most significant first, to samples in little endian."""
    cdef uint64_t sample, byte
    if samples == 1 and width == 2:
        planes_join_pairs(target, planes + pixels, planes, pixels)
    elif samples == 3 and width == 1:
        planes_join_triples(target, planes, planes + pixels, planes + 2 * pixels, pixels)
    else:
        for sample in range(samples):
            for byte in range(width):
                planes_spread(target + sample * width + width - 1 - byte, planes + (sample * width + byte) * pixels,
                              pixels, samples * width)


def decode(const uint8_t[::1] data not None, uint8_t[::1] target not None, uint64_t rows, uint64_t columns,
           uint64_t samples, uint64_t width):
    """Decodes a frame into `target`: samples of `width` bytes, in little endian, those of a pixel together.

    Raises PixelDataError, without a frame number, where the segments are not what they must be; ValueError where `target`
    has not the size of the frame. Memory: as much as the frame. Leaves the interpreter's lock alone meanwhile.
    """
    cdef Cursor cursor
    cdef const uint8_t* header
    cdef uint64_t segments = samples * width, pixels, i
    cdef uint32_t offsets[MOST_SEGMENTS + 1]
    cdef uint8_t* planes = NULL
    cdef int64_t found = 0
    check_shape(rows, columns, samples, width, target.shape[0])
    pixels = rows * columns
    cursor.data = &data[0] if data.shape[0] else NULL
    cursor.pos = 0
    cursor.end = data.shape[0]
    cursor.big = False
    header = peek(&cursor, HEADER)
    if header == NULL:
        raise PixelDataError(f"{data.shape[0]} bytes, less than the RLE header of {HEADER} (PS3.5 G.5)")
    if load32(header, False) != segments:
        raise PixelDataError(f"{load32(header, False)} RLE segments, not {segments} (PS3.5 G.5)")
    for i in range(segments):
        offsets[i] = load32(header + 4 + 4 * i, False)
        if offsets[i] < HEADER or offsets[i] > cursor.end or (i and offsets[i] < offsets[i - 1]):
            raise PixelDataError(f"RLE segment {i + 1} begins at {offsets[i]} of {cursor.end} bytes (PS3.5 G.5)")
    offsets[segments] = <uint32_t>min(cursor.end, 0xFFFFFFFF)
    if segments > 1:
        planes = <uint8_t*>malloc(pixels * segments)
        if planes == NULL:
            raise MemoryError
    with nogil:
        i = 0
        while i < segments:
            cursor.pos = offsets[i]
            found = rle_unpack(cursor.data + cursor.pos, offsets[i + 1] - offsets[i],
                               &target[0] if planes == NULL else planes + i * pixels, pixels)
            if found != <int64_t>pixels:
                break
            i += 1
        if planes != NULL:
            if i == segments:
                join(&target[0], planes, pixels, samples, width)
            free(planes)
    if found == RLE_PAST_SEGMENT:
        raise PixelDataError(f"RLE segment {i + 1} ends within a run (PS3.5 G.3.2)")
    if found == RLE_PAST_PLANE:
        raise PixelDataError(f"RLE segment {i + 1} has more than {pixels} bytes (PS3.5 G.3.2)")
    if found != <int64_t>pixels:
        raise PixelDataError(f"RLE segment {i + 1} has {found} bytes, not {pixels} (PS3.5 G.3.2)")


cdef void part(const uint8_t* source, uint8_t* planes, uint64_t pixels, uint64_t samples, uint64_t width) noexcept nogil:
    """Samples in little endian to byte planes, the most significant first."""
    cdef uint64_t sample, byte
    if samples == 1 and width == 2:
        planes_part_pairs(source, planes + pixels, planes, pixels)
    elif samples == 3 and width == 1:
        planes_part_triples(source, planes, planes + pixels, planes + 2 * pixels, pixels, 1)
    else:
        for sample in range(samples):
            for byte in range(width):
                planes_gather(source + sample * width + width - 1 - byte, planes + (sample * width + byte) * pixels,
                              pixels, samples * width)


def encode(const uint8_t[::1] source not None, uint64_t rows, uint64_t columns, uint64_t samples, uint64_t width):
    """The frame whose samples stand in `source` as `decode` leaves them, compressed: bytes of even length.

    Raises ValueError where `source` has not the size of the frame, there are more than 15 segments, or they are longer
    than the header can say. Leaves the interpreter's lock alone meanwhile.
    """
    cdef uint64_t segments = samples * width, pixels, worst, row, i
    cdef uint8_t* planes = NULL
    cdef const uint8_t* plane
    cdef uint8_t* packed
    cdef uint8_t* out
    check_shape(rows, columns, samples, width, source.shape[0])
    pixels = rows * columns
    worst = HEADER + segments * (rows * (columns + (columns + 127) // 128) + 1)
    if worst > 0xFFFFFFFF:
        raise ValueError("the frame is too large for RLE: offsets have 32 bits (PS3.5 G.5)")
    packed = <uint8_t*>malloc(worst)
    if segments > 1:
        planes = <uint8_t*>malloc(pixels * segments)
    if packed == NULL or (segments > 1 and planes == NULL):
        free(packed)
        free(planes)
        raise MemoryError
    with nogil:
        if planes != NULL:
            part(&source[0], planes, pixels, samples, width)
        for i in range(<uint64_t>HEADER // 4):
            store32(packed + 4 * i, 0, False)
        store32(packed, <uint32_t>segments, False)
        out = packed + HEADER
        for i in range(segments):
            store32(packed + 4 + 4 * i, <uint32_t>(out - packed), False)
            plane = &source[0] if planes == NULL else planes + i * pixels
            for row in range(rows):
                out = rle_pack(plane + row * columns, columns, out)
            if (out - packed) & 1:
                out[0] = 0
                out += 1
    try:
        return PyBytes_FromStringAndSize(<const char*>packed, out - packed)
    finally:
        free(packed)
        free(planes)
