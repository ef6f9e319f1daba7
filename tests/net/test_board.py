"""The numbers that the processes of one server share."""

from __future__ import annotations

import dataclasses
import multiprocessing

from aiodicom.metrics import Counters
from aiodicom.net.board import Board, SharedCounters
from aiodicom.net.limits import Places
from tests.net.hostile import PATIENCE
from tests.net.workers import keep_board


def test_counters_of_all_workers() -> None:
    board = Board(3)
    first, second, third = (SharedCounters(board, worker) for worker in range(3))
    for counters in (first, second, second):
        counters.association_opened()
    first.associations_open -= 1
    second.rejections += 2
    second.aborts += 1
    third.operations += 5
    third.failures += 4
    third.association_opened()
    assert board.counters(1) == Counters(2, 2, 3, 2, 1, 0, 0)
    assert board.total() == Counters(4, 3, 3, 2, 1, 5, 4)
    assert dataclasses.asdict(second) == dataclasses.asdict(board.counters(1))
    board.close()
    assert board.total().associations == 4  # what is known stays known


def test_what_a_worker_had_open_ends_with_it() -> None:
    board = Board(2)
    places = [Places(4, board.column("present"), board.column("places"), index, board) for index in (0, 1)]
    counters = [SharedCounters(board, worker) for worker in range(2)]
    for mine, theirs in zip(counters, places, strict=True):
        for _ in range(2):
            theirs.enter()
            assert theirs.take()
            mine.association_opened()
    assert not places[0].take()
    board.has_ended(1)
    assert board.total() == Counters(4, 2, 4, 0, 2, 0, 0)
    assert list(board.column("present")) == [2, 0]
    assert [places[0].take() for _ in range(3)] == [True, True, False]
    board.close()


def test_no_number_touches_another() -> None:
    board = Board(2)
    names = ["present", "places", "looked", "away", *(field.name for field in dataclasses.fields(Counters))]
    for worker in range(2):
        for number, name in enumerate(names):
            board.column(name)[worker] = 1000 * worker + number
    for worker in range(2):
        assert [board.column(name)[worker] for name in names] == [
            1000 * worker + number for number in range(len(names))
        ]
    board.close()


def test_a_process_that_has_the_board_and_is_stopped_stops_no_other() -> None:
    board = Board(2)
    context = multiprocessing.get_context("spawn")
    has_it, end = context.Event(), context.Event()
    process = context.Process(target=keep_board, args=(board, has_it, end))
    process.start()
    assert has_it.wait(PATIENCE)
    places = Places(1, board.column("present"), board.column("places"), 0, board)
    assert places.take()
    assert not places.take()
    end.set()
    process.join()
    process.close()
    board.close()
