# cython: language_level=3
"""Value representations (PS3.5 6.2) as the compiled data set modules see them: two letters in 16 bits, and a table."""

from libc.stdint cimport uint8_t, uint16_t


cdef enum VR:
    VR_NONE = 0
    # The dictionary's alternatives, resolved by context (PS3.5 A.1, A.2, PS3.3 C.7.6.3, C.11.1).
    VR_US_OR_SS = 1
    VR_OB_OR_OW = 2
    VR_US_OR_OW = 3
    VR_US_OR_SS_OR_OW = 4
    VR_LAST_AMBIGUOUS = 4
    VR_AE = 0x4145
    VR_AS = 0x4153
    VR_AT = 0x4154
    VR_CS = 0x4353
    VR_DA = 0x4441
    VR_DS = 0x4453
    VR_DT = 0x4454
    VR_FD = 0x4644
    VR_FL = 0x464C
    VR_IS = 0x4953
    VR_LO = 0x4C4F
    VR_LT = 0x4C54
    VR_OB = 0x4F42
    VR_OD = 0x4F44
    VR_OF = 0x4F46
    VR_OL = 0x4F4C
    VR_OV = 0x4F56
    VR_OW = 0x4F57
    VR_PN = 0x504E
    VR_SH = 0x5348
    VR_SL = 0x534C
    VR_SQ = 0x5351
    VR_SS = 0x5353
    VR_ST = 0x5354
    VR_SV = 0x5356
    VR_TM = 0x544D
    VR_UC = 0x5543
    VR_UI = 0x5549
    VR_UL = 0x554C
    VR_UN = 0x554E
    VR_UR = 0x5552
    VR_US = 0x5553
    VR_UT = 0x5554
    VR_UV = 0x5556


cdef enum Kind:
    KIND_UNKNOWN = 0
    KIND_CODE          # AS CS: spaces at both ends mean nothing, default repertoire
    KIND_AE
    KIND_UID
    KIND_DATE
    KIND_TIME
    KIND_DATETIME
    KIND_DECIMAL
    KIND_INTEGER
    KIND_TEXT          # LO SH UC: character sets, several values
    KIND_LONG_TEXT     # LT ST UT: character sets, one value
    KIND_URI
    KIND_NAME
    KIND_TAG
    KIND_U16
    KIND_S16
    KIND_U32
    KIND_S32
    KIND_U64
    KIND_S64
    KIND_F32
    KIND_F64
    KIND_BYTES
    KIND_SEQUENCE


cdef struct VrInfo:
    uint8_t kind
    uint8_t word      # bytes of the unit that is swapped between byte orders
    bint long_form    # 32-bit length after two reserved bytes (PS3.5 7.1.2)
    bint text         # Specific Character Set applies (PS3.5 6.1.2.2)


cdef inline int vr_index(uint16_t vr) noexcept nogil:
    """Place of a VR in a table of 26 x 26, or -1 where it is not two capital letters."""
    cdef unsigned int first = (vr >> 8) - 65
    cdef unsigned int second = (vr & 0xFF) - 65
    if first < 26 and second < 26:
        return <int>(first * 26 + second)
    return -1
