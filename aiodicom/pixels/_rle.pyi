from typing import Any, TypeAlias

import numpy
from _typeshed import ReadableBuffer, WriteableBuffer

# Arrays are buffers to the type checker from Python 3.12 on.
_Readable: TypeAlias = ReadableBuffer | numpy.ndarray[Any, numpy.dtype[Any]]
_Writeable: TypeAlias = WriteableBuffer | numpy.ndarray[Any, numpy.dtype[Any]]

def decode(data: _Readable, target: _Writeable, rows: int, columns: int, samples: int, width: int) -> None: ...
def encode(source: _Readable, rows: int, columns: int, samples: int, width: int) -> bytes: ...
