# Data sets of messages, which are decoded and encoded as a whole: without the options of files, in less time.

cdef enum:
    #: Transfer syntaxes whose properties are kept.
    MOST_KNOWN = 64

cdef object transfer = None   # aiodicom.dataset.transfer, from the first message on
cdef dict known = {}


cdef class Known:
    """The properties of a transfer syntax, as C has them; `is_named` once it has been seen to be a UID."""

    cdef bint implicit
    cdef bint big
    cdef bint deflated
    cdef bint encapsulated
    cdef bint is_named


cdef Known known_encoding(transfer_syntax):
    global transfer
    cdef Known found = known.get(transfer_syntax)
    if found is None:
        if transfer is None:
            from aiodicom.dataset import transfer
        encoding = transfer.encoding_of(transfer_syntax)
        found = Known()
        found.implicit = not encoding.explicit
        found.big = not encoding.little_endian
        found.deflated = encoding.deflated
        found.encapsulated = encoding.encapsulated
        if len(known) < MOST_KNOWN:
            known[transfer_syntax] = found
    return found


def decode_message(data, transfer_syntax, bint is_whole=False):
    """The `Dataset` that `data` encode: what `Dataset.from_bytes` without options gives. Raises `DecodeError` also for one that ends
    too early if it has to be whole.

    A message's data set is small, and decoding it a matter of some microseconds: as much as options are to hand on.
    """
    cdef Core data_set
    cdef Known encoding = known_encoding(transfer_syntax)
    if encoding.deflated:
        data_set = item_type.from_bytes(memoryview(data), transfer_syntax)
    else:
        data_set = new_item()
        read_data_set(data_set, data, encoding.implicit, encoding.big, 0xFFFFFFFF, False, USUAL_DEPTH, USUAL_ELEMENTS, 0, None,
                      None, None, None)
        data_set.transfer_syntax = transfer_syntax
        if data_set.trouble is None:
            PyObject_GC_UnTrack(data_set)  # who keeps a hundred thousand is not to wait for these to be looked at
    if is_whole and data_set.trouble is not None:
        raise data_set.trouble
    return data_set


def encode_message(Core data_set not None, transfer_syntax):
    """What `Dataset.to_bytes` without options gives: the reverse of `decode_message`. But of the text nothing is replaced: nobody
    looks at the warnings of a service, and the peer is not to have another name for a patient.

    Raises `DecodeError` for a data set that was cut off, ValueError and TypeError for what cannot be encoded.
    """
    cdef Writer writer
    cdef Target target
    cdef list kept = []
    cdef Known encoding = known_encoding(transfer_syntax)
    if not encoding.is_named:
        transfer.named_encoding(transfer_syntax)  # raises ValueError for what is none
        encoding.is_named = True
    data_set.ensure()
    if data_set.trouble is not None:
        raise data_set.trouble
    if encoding.deflated and not data_set._modified():
        return data_set.to_bytes(transfer_syntax)
    memset(&target, 0, sizeof(target))
    target.lossless = True
    target.implicit = encoding.implicit
    target.big = encoding.big
    target.encapsulated = encoding.encapsulated
    target.checked = data_set.transfer_syntax != transfer_syntax
    if target.checked:
        check_pixels(data_set, encoding.encapsulated)
    memset(&writer, 0, sizeof(writer))
    try:
        encode_data_set(data_set, &writer, &target, None, kept, 0)
        return transfer.deflate(joined(&writer)) if encoding.deflated else joined(&writer)
    finally:
        writer_free(&writer)
