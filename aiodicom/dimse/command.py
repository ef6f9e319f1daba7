"""The codec of command sets, made for the messages of PS3.7."""

from __future__ import annotations

from aiodicom.dimse._command import CommandCodec, encode_response
from aiodicom.dimse.messages import ELEMENTS, MESSAGES, UnrecognizedRequest, UnrecognizedResponse
from aiodicom.standard.status import Status

__all__ = ["decode_command", "encode_command", "encode_response", "make_message"]

_CODEC = CommandCodec((*MESSAGES, UnrecognizedResponse), UnrecognizedRequest, ELEMENTS, Status)

decode_command = _CODEC.decode
encode_command = _CODEC.encode
make_message = _CODEC.make
