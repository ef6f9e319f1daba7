"""Results as they are written and read again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aiodicom.load.merging import merge
from aiodicom.load.results import Interval, IntervalOperation, Operation, Percentiles, Result, read_result, write_result
from tests.load.made import operation, run


def written(result: Result, folder: Path) -> Result:
    write_result(result, folder / "result.json")
    return read_result(folder / "result.json")


def test_figures_have_no_more_digits_than_were_measured(tmp_path: Path) -> None:
    noise = 0.1 + 0.2
    latency = Percentiles(p50=noise, p99=1234.5678, max=2000.0)
    shown = IntervalOperation(p50_ms=noise)
    result = Result(
        seconds=noise,
        operations={"echo": Operation(rate_per_s=100 / 3, planned_latency_ms=latency)},
        series=[Interval(start_s=noise, lag_p99_ms=noise, operations={"echo": shown})],
        scenario={"think_time": 1e-9},
    )
    write_result(result, tmp_path / "result.json")
    text = msgspec.json.decode((tmp_path / "result.json").read_bytes())
    echo = text["operations"]["echo"]
    assert (echo["planned_latency_ms"]["p50"], echo["planned_latency_ms"]["p99"]) == (0.3, 1234.568)
    assert (text["seconds"], echo["rate_per_s"]) == (0.3, 33.333333)
    (interval,) = text["series"]
    assert (interval["start_s"], interval["lag_p99_ms"], interval["operations"]["echo"]["p50_ms"]) == (0.3, 0.3, 0.3)
    # What somebody has said is not a figure.
    assert text["scenario"] == {"think_time": 1e-9}


def test_what_was_written_adds_up_as_what_was_measured(tmp_path: Path) -> None:
    latencies = [1e-6 * (number**2 + 0.4) for number in range(1, 2000)]
    parts = [run(seed=1), run(seed=2)]
    parts[0].operations["echo"] = operation(latencies)
    exact, read = merge(parts), merge([written(part, tmp_path) for part in parts])
    for name, each in exact.operations.items():
        assert read.operations[name].histograms == each.histograms
        for field in Percentiles.__struct_fields__:
            before, after = (getattr(one.planned_latency_ms, field) for one in (each, read.operations[name]))
            assert after == pytest.approx(before, abs=0.0006), (name, field)


def test_no_result(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"format": 2}')
    with pytest.raises(ValueError, match="written in format 2; this aiodicom reads 1"):
        read_result(path)
    path.write_text('{"seconds": "long"}')
    with pytest.raises(ValueError, match=r"not the JSON of aiodicom load: .*\$\.seconds"):
        read_result(path)
