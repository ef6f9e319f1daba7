# Value representations, and the dictionaries' word on which a tag has (PS3.5 6.2, 7.8; PS3.6).

cdef VrInfo[676] VR_INFO
cdef list VR_NAMES = [None] * 676
cdef dict AMBIGUOUS_NAMES = {1: "US or SS", 2: "OB or OW", 3: "US or OW", 4: "US or SS or OW"}
cdef dict AMBIGUOUS_CODES = {name: code for code, name in AMBIGUOUS_NAMES.items()}
memset(VR_INFO, 0, sizeof(VR_INFO))


cdef void define(str name, uint8_t kind, uint8_t word, bint long_form=False, bint text=False):
    cdef uint16_t code = <uint16_t>((ord(name[0]) << 8) | ord(name[1]))
    cdef int place = vr_index(code)
    VR_INFO[place].kind = kind
    VR_INFO[place].word = word
    VR_INFO[place].long_form = long_form
    VR_INFO[place].text = text
    VR_NAMES[place] = sys.intern(name)


define("AE", KIND_AE, 1)
define("AS", KIND_CODE, 1)
define("AT", KIND_TAG, 2)
define("CS", KIND_CODE, 1)
define("DA", KIND_DATE, 1)
define("DS", KIND_DECIMAL, 1)
define("DT", KIND_DATETIME, 1)
define("FD", KIND_F64, 8)
define("FL", KIND_F32, 4)
define("IS", KIND_INTEGER, 1)
define("LO", KIND_TEXT, 1, False, True)
define("LT", KIND_LONG_TEXT, 1, False, True)
define("OB", KIND_BYTES, 1, True)
define("OD", KIND_BYTES, 8, True)
define("OF", KIND_BYTES, 4, True)
define("OL", KIND_BYTES, 4, True)
define("OV", KIND_BYTES, 8, True)
define("OW", KIND_BYTES, 2, True)
define("PN", KIND_NAME, 1, False, True)
define("SH", KIND_TEXT, 1, False, True)
define("SL", KIND_S32, 4)
define("SQ", KIND_SEQUENCE, 1, True)
define("SS", KIND_S16, 2)
define("ST", KIND_LONG_TEXT, 1, False, True)
define("SV", KIND_S64, 8, True)
define("TM", KIND_TIME, 1)
define("UC", KIND_TEXT, 1, True, True)
define("UI", KIND_UID, 1)
define("UL", KIND_U32, 4)
define("UN", KIND_BYTES, 1, True)
define("UR", KIND_URI, 1, True)
define("US", KIND_U16, 2)
define("UT", KIND_LONG_TEXT, 1, True, True)
define("UV", KIND_U64, 8, True)


cdef uint16_t vr_code(str name) except 0:
    """The code of a VR's name; of a dictionary's choice such as "US or SS" too."""
    cdef int place
    cdef uint16_t code
    if len(name) == 2 and ord(name[0]) < 128 and ord(name[1]) < 128:
        code = <uint16_t>((ord(name[0]) << 8) | ord(name[1]))
        place = vr_index(code)
        if place >= 0 and VR_INFO[place].kind:
            return code
    if name in AMBIGUOUS_CODES:
        return AMBIGUOUS_CODES[name]
    raise ValueError(f"{name!r} is no value representation")


cdef str vr_name(uint16_t code):
    if code <= VR_LAST_AMBIGUOUS:
        return AMBIGUOUS_NAMES.get(code, "UN")
    return VR_NAMES[vr_index(code)]


# The dictionary in the form that is searched here, from the first look-up on.
cdef object table_owner = None
cdef const uint32_t[::1] table_tags = None
cdef const uint8_t[::1] table_vrs = None
# What the table lacks: repeating groups by tag, private attributes by (creator, tag).
cdef dict other_vrs = {}


cdef uint16_t code_of_letters(uint8_t first, uint8_t second):
    if first >= 97:
        return {b"us": VR_US_OR_SS, b"ob": VR_OB_OR_OW, b"uo": VR_US_OR_OW, b"uz": VR_US_OR_SS_OR_OW}.get(
            bytes((first, second)), VR_UN
        )
    return <uint16_t>((first << 8) | second)


cdef uint16_t standard_vr(uint32_t tag) except? 0:
    """The VR of a tag that is not private, as PS3.6 has it; VR_NONE where it has none."""
    global table_owner, table_tags, table_vrs
    cdef size_t low = 0, high, middle
    if table_owner is None:
        table_tags, table_vrs = dictionary.vr_table()
        table_owner = True
    high = table_tags.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if table_tags[middle] < tag:
            low = middle + 1
        else:
            high = middle
    if low < <size_t>table_tags.shape[0] and table_tags[low] == tag:
        if table_vrs[2 * low] < 97 and table_vrs[2 * low] != 45:
            return <uint16_t>((table_vrs[2 * low] << 8) | table_vrs[2 * low + 1])
        return code_of_letters(table_vrs[2 * low], table_vrs[2 * low + 1])
    if not tag & 0xFFFF:
        return VR_UL
    found = other_vrs.get(tag)
    if found is None:
        entry = dictionary.entry_for_tag(tag)
        found = VR_NONE if entry is None or entry.vr == "NONE" else vr_code(entry.vr)
        if found:
            other_vrs[tag] = found
    return found


cdef uint16_t private_vr(uint32_t tag, str creator) except 0:
    key = (creator, tag)
    found = other_vrs.get(key)
    if found is None:
        entry = dictionary.private_entry(tag, creator)
        found = VR_UN if entry is None or entry.vr == "NONE" else vr_code(entry.vr)
        if entry is not None:
            other_vrs[key] = found
    return found
