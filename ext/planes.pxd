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

    PLANES_INLINE void planes_part_triples(const uint8_t* PLANES_RESTRICT source, uint8_t* PLANES_RESTRICT r,
                                           uint8_t* PLANES_RESTRICT g, uint8_t* PLANES_RESTRICT b, size_t count) {
        size_t i = 0;
        for (; PLANES_LITTLE && i + 4 <= count; i += 4) {
            uint32_t s = planes_word(source + 3 * i), t = planes_word(source + 3 * i + 4);
            uint32_t u = planes_word(source + 3 * i + 8);
            planes_put(r + i, (s & 0xFF) | (s >> 24) << 8 | (t & 0xFF0000) | (u & 0xFF00) << 16);
            planes_put(g + i, (s >> 8 & 0xFF) | (t & 0xFF) << 8 | (t >> 24) << 16 | (u & 0xFF0000) << 8);
            planes_put(b + i, (s >> 16 & 0xFF) | (t & 0xFF00) | (u & 0xFF) << 16 | (u & 0xFF000000));
        }
        for (; i < count; i++) {
            r[i] = source[3 * i];
            g[i] = source[3 * i + 1];
            b[i] = source[3 * i + 2];
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
    void planes_part_triples(const uint8_t*, uint8_t*, uint8_t*, uint8_t*, size_t) noexcept nogil
    void planes_join_pairs(uint8_t*, const uint8_t*, const uint8_t*, size_t) noexcept nogil
    void planes_part_pairs(const uint8_t*, uint8_t*, uint8_t*, size_t) noexcept nogil
    void planes_spread(uint8_t*, const uint8_t*, size_t, size_t) noexcept nogil
    void planes_gather(const uint8_t*, uint8_t*, size_t, size_t) noexcept nogil
