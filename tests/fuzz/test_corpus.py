"""What the fuzzer found its way with, and mutations of it that are always the same, through the ordinary build."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def inputs(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    contents = inputs(name)
    assert contents
    for data in contents:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_corpus(name: str) -> None:
    generator = random.Random(name)
    contents = inputs(name)
    for _ in range(600):
        data = bytearray(generator.choice(contents))
        for _ in range(generator.choice((1, 1, 2, 6))):
            place = generator.randrange(len(data) + 1)
            kind = generator.randrange(4)
            if kind == 0:
                data[place : place + 1] = bytes((generator.randrange(256),))
            elif kind == 1:
                del data[place : place + generator.randrange(1, 30)]
            elif kind == 2:
                other = generator.choice(contents)
                start = generator.randrange(len(other) + 1)
                data[place:place] = other[start : start + generator.randrange(1, 60)]
            else:
                data[place : place + 4] = generator.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x00\xe0"))
        TARGETS[name](bytes(data))
