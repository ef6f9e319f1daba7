from dataclasses import Field
from typing import Any, ClassVar

class Layout:
    def __init__(self, cls: type, fields: tuple[Field[Any], ...], /) -> None: ...

class Value:
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __layout__: ClassVar[Layout]
