"""100,000 associations without sockets: what they take grows with their number and no faster, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.world import ABORTED, IDLE, PROPOSAL, Acceptance, End, World, echo_request

SIZES = (25_000, 50_000, 100_000)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def grown() -> dict[str, Any]:
    """What the world has come to at each size, and its end."""
    script = [sys.executable, "-W", "error", "-m", "tests.simulation.growth", *map(str, SIZES)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_all_are_open_and_every_operation_is_answered(grown: dict[str, Any]) -> None:
    for size, stage in zip(SIZES, grown["stages"], strict=True):
        assert (stage["associations"], stage["asked"], stage["answered"], stage["wrong"]) == (size, size, size, 0)


def test_state_grows_linearly(grown: dict[str, Any]) -> None:
    """Objects of an association, and bytes, are as many for the last as for the first."""
    blocks = [stage["blocks_each"] for stage in grown["stages"]]
    sizes = [stage["bytes_each"] for stage in grown["stages"]]
    assert max(blocks) < 1.02 * min(blocks)
    assert max(sizes) < 1.1 * min(sizes)
    assert max(sizes) < 4096


def test_work_grows_linearly(grown: dict[str, Any]) -> None:
    """Four times as many take four times the work, not sixteen: counted, and (with room for the machine) by the CPU."""
    first, *_, last = grown["stages"]
    assert last["deadlines_asked"] / SIZES[-1] < 4
    for work in ("us_to_open", "us_to_echo"):
        assert last[work] < 3 * first[work]


def test_half_is_released_and_the_clock_ends_the_other(grown: dict[str, Any]) -> None:
    end = grown["end"]
    half = SIZES[-1] // 2
    assert (end["released"], end["idle"], end["punctual"], end["wrong"]) == (half, half, half, 0)


def test_they_leave_nothing(grown: dict[str, Any]) -> None:
    # What is left are caches of the interpreter and of the protocol, whatever the number of associations.
    assert grown["end"]["blocks_left"] < 0.1 * SIZES[-1]


# The world itself ----------------------------------------------------------------------------------------------------


def opened(world: World) -> Acceptance:
    association = world.connect(world.now)
    world.run(world.now)
    return association


def test_a_peer_that_stops_inside_a_pdu_is_aborted_when_it_has_been_silent_for_long_enough() -> None:
    world = World()
    association = opened(world)
    world.send(association, 10.0, echo_request(1)[:20], None)
    world.run(10.0 + IDLE - 0.001)
    assert association.end is None
    world.run(10.0 + IDLE)
    assert (association.end, association.ended_at, world.wrong) == (End.IDLE, 10.0 + IDLE, [])


def test_a_deadline_that_was_put_off_is_asked_for_again() -> None:
    world = World()
    association = opened(world)
    for number in range(1, 6):
        world.echo(association, 50.0 * number, number)
    world.run(250.0 + IDLE - 0.001)
    assert (association.end, world.answered, world.wrong) == (None, 5, [])
    world.run(250.0 + IDLE)
    assert association.end is End.IDLE


def test_what_a_peer_did_not_expect_is_told() -> None:
    world = World()
    association = opened(world)
    world.send(association, 1.0, PROPOSAL, None)  # a second one is no message of an open association
    world.run(1.0)
    ((who, said),) = world.wrong
    assert who is association
    assert said[:1] == ABORTED[:1]
    assert association.end is End.OTHERWISE


def test_what_a_peer_expected_and_did_not_get_is_told() -> None:
    world = World()
    association = opened(world)
    world.send(association, 1.0, echo_request(1)[:20], ABORTED)
    world.run(1.0)
    assert world.wrong == [(association, b"")]
