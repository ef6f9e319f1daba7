# cython: language_level=3
"""Kernels over the samples of a frame: byte order, planes, single bits, stored bits, colour, palettes.

Everything here is told sizes by the buffers that it is given, checks that they fit one another, and leaves the
interpreter's lock alone while it works. Samples are in the processor's byte order unless it says otherwise.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from planes cimport *

cdef extern from *:
    """
    /* Loops over samples of one width, through memcpy since a frame may begin anywhere. */
    #define PIXELS_EACH(type, count, ...) \\
        for (size_t i = 0; i < (count); i++) { \\
            type v; \\
            memcpy(&v, source + i * sizeof v, sizeof v); \\
            __VA_ARGS__; \\
            memcpy(target + i * sizeof v, &v, sizeof v); \\
        }

    static void pixels_swap(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT target, size_t size,
                            int width) {
        const uint64_t odd = UINT64_C(0x00FF00FF00FF00FF);
        if (width == 2) {
            PIXELS_EACH(uint64_t, size / 8, v = (v & odd) << 8 | (v >> 8 & odd))
            for (size_t i = size / 8 * 8; i < size; i += 2) {
                target[i] = source[i + 1];
                target[i + 1] = source[i];
            }
        } else if (width == 4) {
            PIXELS_EACH(uint32_t, size / 4, v = v >> 24 | (v >> 8 & 0xFF00) | (v & 0xFF00) << 8 | v << 24)
        } else {
            PIXELS_EACH(uint64_t, size / 8,
                v = (v & odd) << 8 | (v >> 8 & odd);
                v = (v & UINT64_C(0x0000FFFF0000FFFF)) << 16 | (v >> 16 & UINT64_C(0x0000FFFF0000FFFF));
                v = v << 32 | v >> 32)
        }
    }

    /* Takes `bits` from `shift` on of each sample. The sign is carried on by taking it off twice; of what has none it is 0.
       A shift that is not 0 is rare, and keeps the compiler from making vectors. */
    #define PIXELS_STORED(type) { \
            const type kept = (type)(~UINT64_C(0) >> (64 - bits)), sign = (type)(is_signed ? UINT64_C(1) << (bits - 1) : 0); \
            if (shift) { \
                PIXELS_EACH(type, count, v = (type)((((type)(v >> shift) & kept) ^ sign) - sign)) \
            } else { \
                PIXELS_EACH(type, count, v = (type)(((v & kept) ^ sign) - sign)) \
            } \
        }

    #define PIXELS_STORED_IN(name) \\
        static void name(uint8_t* target, size_t count, int width, int shift, int bits, int is_signed) { \\
            const uint8_t* source = target; \\
            if (width == 1) PIXELS_STORED(uint8_t) \\
            else if (width == 2) PIXELS_STORED(uint16_t) \\
            else if (width == 4) PIXELS_STORED(uint32_t) \\
            else PIXELS_STORED(uint64_t) \\
        }

    PIXELS_STORED_IN(pixels_stored_narrow)

    /* Twice as fast, of a frame that a codec has just left in the cache. */
    #ifdef PLANES_SHUFFLE
    __attribute__((target("avx2"))) PIXELS_STORED_IN(pixels_stored_wide)
    #define PIXELS_WIDE __builtin_cpu_supports("avx2")
    #else
    #define pixels_stored_wide pixels_stored_narrow
    #define PIXELS_WIDE 0
    #endif

    static void pixels_stored(uint8_t* target, size_t count, int width, int shift, int bits, int is_signed) {
        (PIXELS_WIDE ? pixels_stored_wide : pixels_stored_narrow)(target, count, width, shift, bits, is_signed);
    }

    static void pixels_unpack_bits(const uint8_t* PLANES_RESTRICT source, size_t first,
                                   uint8_t* PLANES_RESTRICT target, size_t count) {
        size_t i = 0;
        for (; i < count && (first + i) % 8; i++) target[i] = source[(first + i) / 8] >> (first + i) % 8 & 1;
        source += (first + i) / 8;
        for (; i + 8 <= count; i += 8) {
            /* Byte k of the product has bit k: one of them is left, and made 1. */
            uint64_t spread = (*source++ * UINT64_C(0x0101010101010101)) & UINT64_C(0x8040201008040201);
            spread = ((spread + UINT64_C(0x00406070787C7E7F)) >> 7) & UINT64_C(0x0101010101010101);
            if (PLANES_LITTLE) {
                memcpy(target + i, &spread, 8);
            } else {
                for (int k = 0; k < 8; k++) target[i + k] = (uint8_t)(spread >> 8 * k);
            }
        }
        for (int k = 0; i < count; i++, k++) target[i] = *source >> k & 1;
    }

    static void pixels_pack_bits(const uint8_t* PLANES_RESTRICT source, size_t count, uint8_t* PLANES_RESTRICT target) {
        for (size_t i = 0; i < count; i += 8) {
            unsigned byte = 0;
            for (size_t k = 0; k < 8 && i + k < count; k++) byte |= (unsigned)(source[i + k] != 0) << k;
            target[i / 8] = (uint8_t)byte;
        }
    }

    static inline int64_t pixels_clip(int64_t v, int64_t most) { return v < 0 ? 0 : v > most ? most : v; }

    #define PIXELS_HALF 32768

    /* What chrominance adds to each colour, and colours clipped to a byte. PS3.3 C.7.6.3.1.2, in units of 1/65536 and
       rounded as libjpeg does: what it converts and what we do is the same. */
    static int16_t pixels_red[256], pixels_blue[256];
    static int32_t pixels_green_of_red[256], pixels_green_of_blue[256];
    static uint8_t pixels_clipped[3 * 256];

    static void pixels_fill_tables(void) {
        for (int i = 0; i < 256; i++) {
            pixels_red[i] = (int16_t)((91881 * (i - 128) + PIXELS_HALF) >> 16);
            pixels_blue[i] = (int16_t)((116130 * (i - 128) + PIXELS_HALF) >> 16);
            pixels_green_of_red[i] = -46802 * (i - 128) + PIXELS_HALF;
            pixels_green_of_blue[i] = -22554 * (i - 128);
            pixels_clipped[256 + i] = (uint8_t)i;
            pixels_clipped[512 + i] = 255;
        }
    }

    static void pixels_rgb_of_full8(uint8_t* target, size_t count) {
        const uint8_t* const clipped = pixels_clipped + 256;
        for (size_t i = 0; i < count; i++, target += 3) {
            const int y = target[0], blue = target[1], red = target[2];
            target[0] = clipped[y + pixels_red[red]];
            target[1] = clipped[y + ((pixels_green_of_blue[blue] + pixels_green_of_red[red]) >> 16)];
            target[2] = clipped[y + pixels_blue[blue]];
        }
    }

    static void pixels_full_of_rgb8(uint8_t* target, size_t count) {
        for (size_t i = 0; i < count; i++, target += 3) {
            int32_t r = target[0], g = target[1], b = target[2];
            target[0] = (uint8_t)((19595 * r + 38470 * g + 7471 * b + PIXELS_HALF) >> 16);
            target[1] = (uint8_t)((-11059 * r - 21709 * g + 32768 * b + (128 << 16) + PIXELS_HALF - 1) >> 16);
            target[2] = (uint8_t)((32768 * r - 27439 * g - 5329 * b + (128 << 16) + PIXELS_HALF - 1) >> 16);
        }
    }

    /* Of any depth. `y` is what luminance is worth, in 1/65536, above `black`; the others what the differences are. */
    #define PIXELS_RGB_OF_YBR(type) \\
        for (size_t i = 0; i < count; i++, target += 3 * sizeof(type)) { \\
            type s[3]; \\
            memcpy(s, target, sizeof s); \\
            int64_t luminance = ((int64_t)s[0] - black) * y, blue = (int64_t)s[1] - middle; \\
            int64_t red = (int64_t)s[2] - middle; \\
            s[0] = (type)pixels_clip((luminance + red_red * red + PIXELS_HALF) >> 16, most); \\
            s[1] = (type)pixels_clip((luminance + green_blue * blue + green_red * red + PIXELS_HALF) >> 16, most); \\
            s[2] = (type)pixels_clip((luminance + blue_blue * blue + PIXELS_HALF) >> 16, most); \\
            memcpy(target, s, sizeof s); \\
        }

    static void pixels_rgb_of_ybr(uint8_t* target, size_t count, int width, int bits, int partial) {
        const int64_t most = (INT64_C(1) << bits) - 1, middle = INT64_C(1) << (bits - 1);
        const int64_t black = !partial ? 0 : bits >= 4 ? INT64_C(1) << (bits - 4) : 0;
        const int64_t y = partial ? 76309 : 65536;
        const int64_t red_red = partial ? 104597 : 91881, blue_blue = partial ? 132201 : 116130;
        const int64_t green_blue = partial ? -25675 : -22554, green_red = partial ? -53279 : -46802;
        if (width == 1) {
            PIXELS_RGB_OF_YBR(uint8_t)
        } else {
            PIXELS_RGB_OF_YBR(uint16_t)
        }
    }

    static void pixels_expand_422(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT target, size_t count) {
        size_t i = 0;
        for (; i + 2 <= count; i += 2, source += 4, target += 6) {
            target[0] = source[0];
            target[1] = target[4] = source[2];
            target[2] = target[5] = source[3];
            target[3] = source[1];
        }
        if (i < count) {
            target[0] = source[0];
            target[1] = source[2];
            target[2] = source[3];
        }
    }

    /* The first index that is not in the table, or `count`. Those are as the nearest that is (PS3.3 C.7.6.3.1.5). */
    #define PIXELS_LOOK_UP(type, entry) \\
        for (size_t i = 0; i < count; i++) { \\
            type index; \\
            memcpy(&index, source + i * sizeof index, sizeof index); \\
            int64_t place = (int64_t)index - first; \\
            if (place < 0 || place >= entries) { \\
                if (outside == count) outside = i; \\
                place = place < 0 ? 0 : entries - 1; \\
            } \\
            memcpy(target + i * 3 * sizeof(entry), table + (size_t)place * 3 * sizeof(entry), 3 * sizeof(entry)); \\
        }

    #define PIXELS_LOOK_UP_OF(entry) \\
        if (width == 1 && is_signed) { PIXELS_LOOK_UP(int8_t, entry) } \\
        else if (width == 1) { PIXELS_LOOK_UP(uint8_t, entry) } \\
        else if (is_signed) { PIXELS_LOOK_UP(int16_t, entry) } \\
        else { PIXELS_LOOK_UP(uint16_t, entry) }

    static size_t pixels_look_up(const uint8_t* PLANES_RESTRICT source, size_t count, int width, int is_signed,
                                 int64_t first, const uint8_t* PLANES_RESTRICT table, int64_t entries, int entry_width,
                                 uint8_t* PLANES_RESTRICT target) {
        size_t outside = count;
        if (entry_width == 1) {
            PIXELS_LOOK_UP_OF(uint8_t)
        } else {
            PIXELS_LOOK_UP_OF(uint16_t)
        }
        return outside;
    }

    static void pixels_join_triples16(uint8_t* PLANES_RESTRICT target, const uint8_t* PLANES_RESTRICT source,
                                      size_t count) {
        for (size_t i = 0; i < count; i++) {
            memcpy(target + 6 * i, source + 2 * i, 2);
            memcpy(target + 6 * i + 2, source + 2 * (count + i), 2);
            memcpy(target + 6 * i + 4, source + 2 * (2 * count + i), 2);
        }
    }
    """
    void pixels_swap(const uint8_t*, uint8_t*, size_t, int) noexcept nogil
    void pixels_stored(uint8_t*, size_t, int, int, int, int) noexcept nogil
    void pixels_unpack_bits(const uint8_t*, size_t, uint8_t*, size_t) noexcept nogil
    void pixels_pack_bits(const uint8_t*, size_t, uint8_t*) noexcept nogil
    void pixels_fill_tables() noexcept nogil
    void pixels_rgb_of_full8(uint8_t*, size_t) noexcept nogil
    void pixels_full_of_rgb8(uint8_t*, size_t) noexcept nogil
    void pixels_rgb_of_ybr(uint8_t*, size_t, int, int, int) noexcept nogil
    void pixels_expand_422(const uint8_t*, uint8_t*, size_t) noexcept nogil
    size_t pixels_look_up(const uint8_t*, size_t, int, int, int64_t, const uint8_t*, int64_t, int,
                          uint8_t*) noexcept nogil
    void pixels_join_triples16(uint8_t*, const uint8_t*, size_t) noexcept nogil


pixels_fill_tables()


cdef int refuse(bint wrong, str why) except -1:
    if wrong:
        raise ValueError(why)
    return 0


cdef int check_samples(uint64_t size, uint64_t other, uint64_t samples, uint64_t width) except -1:
    refuse(size != other, "the buffers have not the same size")
    refuse(width not in (1, 2, 4, 8), "samples have 1, 2, 4 or 8 bytes")
    refuse(not 0 < samples <= 16, "pixels have from 1 to 16 samples")
    refuse(size % (samples * width) != 0, "the buffers do not hold whole pixels")
    return 0


def swap(const uint8_t[::1] source not None, uint8_t[::1] target not None, int width):
    """Turns the byte order of words of `width` bytes: 2, 4 or 8."""
    refuse(width not in (2, 4, 8), "words have 2, 4 or 8 bytes")
    check_samples(source.shape[0], target.shape[0], 1, width)
    if source.shape[0]:
        with nogil:
            pixels_swap(&source[0], &target[0], source.shape[0], width)


def interleave(const uint8_t[::1] source not None, uint8_t[::1] target not None, uint64_t samples, uint64_t width):
    """Planes of samples (Planar Configuration 1) to pixels (0), `width` bytes a sample."""
    cdef uint64_t pixels, sample, byte
    check_samples(source.shape[0], target.shape[0], samples, width)
    if not source.shape[0]:
        return
    pixels = source.shape[0] // (samples * width)
    with nogil:
        if samples == 3 and width == 1:
            planes_join_triples(&target[0], &source[0], &source[pixels], &source[2 * pixels], pixels)
        elif samples == 3 and width == 2:
            pixels_join_triples16(&target[0], &source[0], pixels)
        else:
            for sample in range(samples):
                for byte in range(width):
                    gather_bytes(&source[sample * pixels * width + byte], width,
                                 &target[sample * width + byte], samples * width, pixels)


def deinterleave(const uint8_t[::1] source not None, uint8_t[::1] target not None, uint64_t samples, uint64_t width):
    """Pixels (Planar Configuration 0) to planes of samples (1), `width` bytes a sample."""
    cdef uint64_t pixels, sample, byte
    check_samples(source.shape[0], target.shape[0], samples, width)
    if not source.shape[0]:
        return
    pixels = source.shape[0] // (samples * width)
    with nogil:
        if samples == 3 and width <= 2:
            planes_part_triples(&source[0], &target[0], &target[width * pixels], &target[2 * width * pixels], pixels, width)
        else:
            for sample in range(samples):
                for byte in range(width):
                    gather_bytes(&source[sample * width + byte], samples * width,
                                 &target[sample * pixels * width + byte], width, pixels)


cdef inline void gather_bytes(const uint8_t* source, uint64_t from_step, uint8_t* target, uint64_t to_step,
                              uint64_t count) noexcept nogil:
    cdef uint64_t i
    for i in range(count):
        target[i * to_step] = source[i * from_step]


def unpack_bits(const uint8_t[::1] source not None, uint64_t first, uint8_t[::1] target not None):
    """Single bits, the least significant first (PS3.5 8.1.1), from bit `first` on: a byte, 0 or 1, for each in `target`."""
    cdef uint64_t bits = 8 * <uint64_t>source.shape[0], count = target.shape[0]
    refuse(first > bits or count > bits - first, "there are not so many bits")
    if count:
        with nogil:
            pixels_unpack_bits(&source[0], first, &target[0], count)


def pack_bits(const uint8_t[::1] source not None, uint8_t[::1] target not None):
    """A bit for each byte of `source`, 1 where it is not 0, the least significant first; the last byte is filled with 0."""
    refuse(target.shape[0] != (source.shape[0] + 7) // 8, "the target has not a bit for each sample")
    if source.shape[0]:
        with nogil:
            pixels_pack_bits(&source[0], source.shape[0], &target[0])


def keep_stored(samples not None, int width, int shift, int bits, bint signed):
    """Leaves of each sample, in place, the `bits` from bit `shift` on, moved to the right, with their sign if `signed`.

    `samples` is an array of any shape and type.
    """
    cdef Py_buffer buffer
    # Each frame comes by here: a view of bytes would take longer to make than most of them take.
    PyObject_GetBuffer(samples, &buffer, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
    try:
        check_samples(buffer.len, buffer.len, 1, width)
        refuse(bits < 1 or shift < 0 or shift + bits > 8 * width, "the bits are not all within the sample")
        if buffer.len and (shift or bits < 8 * width):
            with nogil:
                pixels_stored(<uint8_t*>buffer.buf, buffer.len // width, width, shift, bits, signed)
    finally:
        PyBuffer_Release(&buffer)


def ybr_to_rgb(uint8_t[::1] samples not None, int width, int bits, bint partial):
    """YBR_FULL, or YBR_PARTIAL if `partial`, to RGB in place (PS3.3 C.7.6.3.1.2): unsigned samples of `bits` bits."""
    check_samples(samples.shape[0], samples.shape[0], 3, width)
    refuse(width > 2 or not 2 <= bits <= 8 * width, "colour is converted in samples of up to 16 bits")
    if samples.shape[0]:
        with nogil:
            if bits == 8 and width == 1 and not partial:
                pixels_rgb_of_full8(&samples[0], samples.shape[0] // 3)
            else:
                pixels_rgb_of_ybr(&samples[0], samples.shape[0] // (3 * width), width, bits, partial)


def rgb_to_ybr(uint8_t[::1] samples not None):
    """RGB of 8 bits to YBR_FULL in place (PS3.3 C.7.6.3.1.2)."""
    check_samples(samples.shape[0], samples.shape[0], 3, 1)
    if samples.shape[0]:
        with nogil:
            pixels_full_of_rgb8(&samples[0], samples.shape[0] // 3)


def expand_422(const uint8_t[::1] source not None, uint8_t[::1] target not None):
    """Y Y Cb Cr for two pixels (PS3.3 C.7.6.3.1.2) to Y Cb Cr for each; an odd last pixel has its four bytes too."""
    cdef uint64_t pixels = target.shape[0] // 3
    refuse(target.shape[0] % 3 != 0 or <uint64_t>source.shape[0] != (pixels + 1) // 2 * 4,
           "the buffers do not hold the same pixels")
    if pixels:
        with nogil:
            pixels_expand_422(&source[0], &target[0], pixels)


def look_up(const uint8_t[::1] indexes not None, int width, bint signed, int64_t first,
            const uint8_t[::1] table not None, int entry_width, uint8_t[::1] target not None):
    """Colours of a palette: for each index the three entries that stand together in `table`, whose first is for `first`.

    Returns the place of the first index that the table has not, or -1; such have the colour of the nearest that it has.
    """
    cdef uint64_t count
    cdef size_t outside
    refuse(width not in (1, 2) or entry_width not in (1, 2), "indexes and entries have 1 or 2 bytes")
    refuse(table.shape[0] == 0 or table.shape[0] % (3 * entry_width) != 0, "the table does not hold whole entries")
    refuse(indexes.shape[0] % width != 0, "the buffer does not hold whole indexes")
    refuse(not -0x10000 <= first <= 0x10000, "the first index has 16 bits")
    count = indexes.shape[0] // width
    refuse(<uint64_t>target.shape[0] != count * 3 * entry_width, "the target has not room for just the colours")
    if not count:
        return -1
    with nogil:
        outside = pixels_look_up(&indexes[0], count, width, signed, first, &table[0],
                                 table.shape[0] // (3 * entry_width), entry_width, &target[0])
    return -1 if outside == count else <int64_t>outside
