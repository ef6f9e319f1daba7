"""What other compiled modules call without a look at the names of Python."""

from libc.stdint cimport uint16_t

cpdef bytes encode_response(
    uint16_t command_field, uint16_t message_id, uint16_t status, str sop_class_uid, str sop_instance_uid
)
