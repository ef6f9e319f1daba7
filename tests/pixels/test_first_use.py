"""Codecs whose library is not ready for several threads at its first use."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import imagecodecs
import pytest

from aiodicom.pixels.codecs import codec_for, jpeg_2000
from tests.pixels.images import describe, image


def test_htj2k_is_encoded_by_one_thread_first(monkeypatch: pytest.MonkeyPatch) -> None:
    real = imagecodecs.htj2k_encode
    began, goes_on = threading.Event(), threading.Event()
    seen: list[tuple[int, ...]] = []

    def encode(cells: Any, *arguments: Any, **options: Any) -> bytes:
        seen.append(cells.shape)
        if len(seen) == 1:
            began.set()
            goes_on.wait(5)
        return bytes(real(cells, *arguments, **options))

    monkeypatch.setattr(imagecodecs, "htj2k_encode", encode)
    monkeypatch.setattr(jpeg_2000, "_has_encoded", False)
    codec = codec_for("1.2.840.10008.1.2.4.201")
    cells, described = image("12 of 16", 0), describe("12 of 16")
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(codec.encode, cells, described, None)
        assert began.wait(5)
        others = [threads.submit(codec.encode, cells, described, None) for _ in range(2)]
        assert seen == [(16, 16)]  # what is small, by the first of them; the others wait for that
        goes_on.set()
        assert len({bytes(each.result(5).data) for each in (first, *others)}) == 1
    assert seen[:4] == [(16, 16)] * 4
    assert len(seen) == 7
