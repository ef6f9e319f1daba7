"""The limit of open files is raised as far as it may be, and named when that does not suffice."""

from __future__ import annotations

import resource

import pytest

from aiodicom.errors import LocalError
from aiodicom.net.descriptors import allow_descriptors, allow_most_descriptors

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "associations", "expected"),
    [
        ((1024, 4096), 100, None),
        ((1024, 4096), 960, None),
        ((1024, 4096), 961, (1025, 4096)),
        ((1024, 4096), 4032, (4096, 4096)),
        ((1024, UNLIMITED), 100_000, (100_064, UNLIMITED)),
        ((UNLIMITED, UNLIMITED), 100_000, None),
    ],
)
def test_raised(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], associations: int, expected: tuple[int, int] | None
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: asked.append(new))
    allow_descriptors(associations)
    assert asked == ([] if expected is None else [expected])


def test_too_low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(LocalError, match=r"5,000 associations need 5,064 open files.*4,096.*ulimit.*4,032"):
        allow_descriptors(5000)


def test_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: asked.append(new))
    allow_most_descriptors()
    assert asked == [(4096, 4096)]
