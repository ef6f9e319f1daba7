"""Values at a path of a data set, for conditions and transformations alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from aiodicom.dataset import Dataset
from aiodicom.router.conditions.syntax import EVERY, Path, PrivateTag, Step

__all__ = ["SINGLE", "find_holders", "find_tag", "value_of", "values_at"]

#: `Dataset._value` of the class: an attribute of a data set is first looked up among keywords, which takes longer.
value_of: Final = Dataset._value

#: What one value of an element is; several are a list, items a sequence.
SINGLE: Final = (str, int, float, bytes, memoryview)


def find_tag(data_set: Dataset, tag: int | PrivateTag) -> int | None:
    """Where an attribute is in a data set: a private one where its creator has reserved a block, None where not."""
    if isinstance(tag, int):
        return tag
    group = tag.group << 16
    for block in range(0x10, 0x100):
        creator = value_of(data_set, group | block, None)
        if isinstance(creator, str) and creator.strip(" ") == tag.creator:
            return group | block << 8 | tag.element
    return None


def find_holders(data_set: Dataset, steps: Sequence[Step]) -> Iterator[Dataset]:
    """The data sets in which the last attribute of a path is looked for: `data_set`, or items that are there."""
    if len(steps) == 1:
        yield data_set
        return
    for item in _items(data_set, steps[0]):
        yield from find_holders(item, steps[1:])


def _items(data_set: Dataset, step: Step) -> Sequence[Dataset]:
    tag = find_tag(data_set, step.tag)
    value = None if tag is None else value_of(data_set, tag, None)
    # Of another VR than a sequence's, there are no items.
    items = [] if value is None or isinstance(value, SINGLE) else [item for item in value if isinstance(item, Dataset)]
    if step.item is None or step.item == EVERY:
        return items
    return items[step.item : step.item + 1]


def values_at(data_set: Dataset, path: Path) -> list[Any]:
    """The values that are there, those of all items that the path leads to; of a sequence its items."""
    found: list[Any] = []
    for holder in find_holders(data_set, path.steps):
        tag = find_tag(holder, path.steps[-1].tag)
        value = None if tag is None else value_of(holder, tag, None)
        if value is None or (isinstance(value, (str, bytes)) and not value):
            continue
        if isinstance(value, SINGLE):
            found.append(value)
        else:
            found.extend(value)
    return found
