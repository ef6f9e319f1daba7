# cython: language_level=3
"""Colour planes and byte planes to samples that stand together, and back.

Plain C loops over memory that does not overlap; the compiler makes vectors of them.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    #if defined(__GNUC__) || defined(__clang__)
    #define PLANES_RESTRICT __restrict__
    #define PLANES_INLINE static inline __attribute__((unused))
    #else
    #define PLANES_RESTRICT
    #define PLANES_INLINE static inline
    #endif

    #if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define PLANES_LITTLE 1
    #else
    #define PLANES_LITTLE 0
    #endif

    /* What every x86-64 made since 2006 has, though not by its name alone. */
    #if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    #include <tmmintrin.h>
    #define PLANES_SHUFFLE __attribute__((target("ssse3"), unused))
    #endif

    PLANES_INLINE uint32_t planes_word(const uint8_t* p) {
        uint32_t word;
        memcpy(&word, p, 4);
        return word;
    }

    PLANES_INLINE void planes_put(uint8_t* p, uint32_t word) { memcpy(p, &word, 4); }

    /* Three planes of bytes to triples, four at a time: their bytes are put together in registers. */
    PLANES_INLINE void planes_join_triples(uint8_t* PLANES_RESTRICT target, const uint8_t* PLANES_RESTRICT r,
                                           const uint8_t* PLANES_RESTRICT g, const uint8_t* PLANES_RESTRICT b,
                                           size_t count) {
        size_t i = 0;
        for (; PLANES_LITTLE && i + 4 <= count; i += 4) {
            uint32_t x = planes_word(r + i), y = planes_word(g + i), z = planes_word(b + i);
            planes_put(target + 3 * i, (x & 0xFF) | (y & 0xFF) << 8 | (z & 0xFF) << 16 | (x & 0xFF00) << 16);
            planes_put(target + 3 * i + 4, (y >> 8 & 0xFF) | (z & 0xFF00) | (x & 0xFF0000) | (y & 0xFF0000) << 8);
            planes_put(target + 3 * i + 8, (z >> 16 & 0xFF) | (x >> 24) << 8 | (y >> 24) << 16 | (z >> 24) << 24);
        }
        for (; i < count; i++) {
            target[3 * i] = r[i];
            target[3 * i + 1] = g[i];
            target[3 * i + 2] = b[i];
        }
    }

    /* Pixels of three samples, each of `width` bytes, 1 or 2, to their planes. */
    PLANES_INLINE void planes_part_each(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT r,
                                        uint8_t* PLANES_RESTRICT g, uint8_t* PLANES_RESTRICT b, size_t count,
                                        size_t width) {
        for (size_t i = 0; i < count; i++) {
            memcpy(r + width * i, source + width * 3 * i, width);
            memcpy(g + width * i, source + width * (3 * i + 1), width);
            memcpy(b + width * i, source + width * (3 * i + 2), width);
        }
    }

    /* Where each plane's 16 bytes stand in 48 of pixels: in which of three registers, and at which of its bytes. */
    typedef struct { uint8_t of[3][3][16]; } planes_picks;

    PLANES_INLINE void planes_find_picks(planes_picks* picks, size_t width) {
        for (size_t plane = 0; plane < 3; plane++) {
            for (size_t byte = 0; byte < 16; byte++) {
                const size_t from = (byte / width * 3 + plane) * width + byte % width;
                for (size_t word = 0; word < 3; word++)
                    picks->of[plane][word][byte] = from / 16 == word ? (uint8_t)(from % 16) : 0x80;
            }
        }
    }

    #ifdef PLANES_SHUFFLE
    /* 48 bytes at a time; returns how many pixels that were. */
    PLANES_SHUFFLE static size_t planes_part_shuffled(const uint8_t* source, uint8_t* r, uint8_t* g, uint8_t* b,
                                                      size_t count, size_t width, const planes_picks* picks) {
        uint8_t *const planes[3] = {r, g, b};
        const size_t each = 16 / width;
        size_t i = 0;
        for (; i + each <= count; i += each) {
            const uint8_t *const at = source + 3 * width * i;
            const __m128i x = _mm_loadu_si128((const __m128i *)at), y = _mm_loadu_si128((const __m128i *)(at + 16));
            const __m128i z = _mm_loadu_si128((const __m128i *)(at + 32));
            for (size_t plane = 0; plane < 3; plane++) {
                const __m128i *const pick = (const __m128i *)picks->of[plane];
                const __m128i first = _mm_shuffle_epi8(x, _mm_loadu_si128(pick));
                const __m128i second = _mm_shuffle_epi8(y, _mm_loadu_si128(pick + 1));
                const __m128i third = _mm_shuffle_epi8(z, _mm_loadu_si128(pick + 2));
                _mm_storeu_si128((__m128i *)(planes[plane] + width * i),
                                 _mm_or_si128(first, _mm_or_si128(second, third)));
            }
        }
        return i;
    }
    #endif

    PLANES_INLINE void planes_part_near(const uint8_t* source, uint8_t* r, uint8_t* g, uint8_t* b, size_t count,
                                        size_t width, const planes_picks* picks) {
        size_t i = 0;
    #ifdef PLANES_SHUFFLE
        if (__builtin_cpu_supports("ssse3")) i = planes_part_shuffled(source, r, g, b, count, width, picks);
    #else
        (void)picks;
    #endif
        if (width == 1) {
            planes_part_each(source + 3 * i, r + i, g + i, b + i, count - i, 1);
        } else {
            planes_part_each(source + 6 * i, r + 2 * i, g + 2 * i, b + 2 * i, count - i, 2);
        }
    }

    /* By blocks: planes that are a large power of two apart would, written to in turns, put each other out of a cache
       that finds its lines by some bits of their addresses (128 MiB apart, five times slower). */
    PLANES_INLINE void planes_part_triples(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT r,
                                           uint8_t* PLANES_RESTRICT g, uint8_t* PLANES_RESTRICT b, size_t count,
                                           size_t width) {
        enum { BLOCK = 512, APART = BLOCK + 64 };
        uint8_t near[3 * APART];
        const size_t most = BLOCK / width;
        planes_picks picks;
        planes_find_picks(&picks, width);
        for (size_t at = 0; at < count; at += most) {
            const size_t some = count - at < most ? count - at : most;
            planes_part_near(source + 3 * width * at, near, near + APART, near + 2 * APART, some, width, &picks);
            memcpy(r + width * at, near, width * some);
            memcpy(g + width * at, near + APART, width * some);
            memcpy(b + width * at, near + 2 * APART, width * some);
        }
    }

    PLANES_INLINE void planes_join_pairs(uint8_t* PLANES_RESTRICT target, const uint8_t* PLANES_RESTRICT first,
                                         const uint8_t* PLANES_RESTRICT second, size_t count) {
        for (size_t i = 0; i < count; i++) {
            target[2 * i] = first[i];
            target[2 * i + 1] = second[i];
        }
    }

    PLANES_INLINE void planes_part_pairs(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT first,
                                         uint8_t* PLANES_RESTRICT second, size_t count) {
        for (size_t i = 0; i < count; i++) {
            first[i] = source[2 * i];
            second[i] = source[2 * i + 1];
        }
    }

    /* One plane of bytes to every `step`th byte, and back. */
    PLANES_INLINE void planes_spread(uint8_t* PLANES_RESTRICT target, const uint8_t* PLANES_RESTRICT plane,
                                     size_t count, size_t step) {
        for (size_t i = 0; i < count; i++) target[i * step] = plane[i];
    }

    PLANES_INLINE void planes_gather(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT plane,
                                     size_t count, size_t step) {
        for (size_t i = 0; i < count; i++) plane[i] = source[i * step];
    }
    """
    void planes_join_triples(uint8_t*, const uint8_t*, const uint8_t*, const uint8_t*, size_t) noexcept nogil
    void planes_part_triples(const uint8_t*, uint8_t*, uint8_t*, uint8_t*, size_t, size_t) noexcept nogil
    void planes_join_pairs(uint8_t*, const uint8_t*, const uint8_t*, size_t) noexcept nogil
    void planes_part_pairs(const uint8_t*, uint8_t*, uint8_t*, size_t) noexcept nogil
    void planes_spread(uint8_t*, const uint8_t*, size_t, size_t) noexcept nogil
    void planes_gather(const uint8_t*, uint8_t*, size_t, size_t) noexcept nogil
