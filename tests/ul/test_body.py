"""The sink that gathers a data set in memory: growth, spilling, and the buffer that it exports."""

from __future__ import annotations

import copy
import ctypes
import gc
import mmap
import pickle
import random
import weakref
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.ul._pdu import Body, Budget, Discard
from tests.ul.streams import Gathering
from tests.ul.wire import checked


def test_an_empty_one_is_an_empty_buffer() -> None:
    body = Body()
    body.finish()
    assert len(body) == 0
    assert bytes(memoryview(body)) == b""


@checked(60)
@given(
    st.lists(st.binary(max_size=20) | st.integers(0, 200_000).map(lambda size: random.Random(size).randbytes(size))),
    st.integers(0, 300_000),
    st.booleans(),
)
def test_what_is_written_is_what_it_holds(pieces: list[bytes], expected: int, unread: bool) -> None:
    body = Body(expected=expected, unread=unread)
    for piece in pieces:
        body.write(piece)
    body.finish()
    assert len(body) == sum(map(len, pieces))
    assert memoryview(body) == b"".join(pieces)


@pytest.mark.parametrize(
    "size", [1, 65535, 65536, 65537, (1 << 20) - 1, 1 << 20, 8 << 20, (8 << 20) + 1, 16 << 20, 20 << 20]
)
def test_memory_that_is_used_again_is_not_shared(size: int) -> None:
    # The pool's blocks are of fixed sizes: at each edge, a body takes what another one gave back.
    bodies = []
    for fill in range(3):
        for each in range(2):
            body = Body(expected=size * each)
            body.write(bytes([fill]) * size)
            bodies.append((fill, body))
        if fill == 0:
            bodies.pop()
    for fill, body in bodies:
        assert len(body) == size
        assert numpy.all(numpy.frombuffer(body, "u1") == fill)


MIB = 1 << 20


def gathered(size: int, fill: int) -> Body:
    body = Body(expected=size)
    body.write(bytes([fill]) * size)
    return body


def is_full_of(body: Body, fill: int) -> bool:
    """Without memory of its own, which is measured here."""
    values = numpy.frombuffer(body, "u1")
    return bool(values.min() == values.max() == fill)


def empty_pool() -> None:
    """Has nothing kept for reuse."""
    assert Budget(0).take(0)


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


@pytest.mark.parametrize("order", ["as they came", "the other way round", "shuffled"])
def test_memory_that_is_given_back_in_any_order(order: str) -> None:
    # Bodies of up to 1 MiB share huge pages by twos; more of them than are kept for reuse.
    size, count, most_kept = 1 << 20, 128, 64
    empty_pool()
    bodies = [(fill, gathered(size, fill)) for fill in range(count)]
    others = bytes([255]) * size
    before = resident_bytes()
    if order == "the other way round":
        bodies.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(bodies)
    while bodies:
        fill, body = bodies.pop()
        assert is_full_of(body, fill)
        del body
        if len(bodies) % 3 == 0:
            body = Body(expected=size)
            body.write(others)
            assert is_full_of(body, 255)
            del body
    assert before - resident_bytes() > (count - most_kept) * size * 0.9


def address_of(body: Body) -> int:
    return int(numpy.frombuffer(body, "u1").__array_interface__["data"][0])


def test_from_2_to_16_mib_it_grows_where_it_is() -> None:
    budget = Budget(1 << 30)
    body = Body(budget=budget)
    mebibytes = [bytes([fill]) * MIB for fill in range(16)]
    addresses, taken = set(), []
    for count, mebibyte in enumerate(mebibytes, 1):
        body.write(mebibyte)
        if count > 1:
            addresses.add(address_of(body))
        taken.append(budget.used // MIB)
    assert len(addresses) == 1
    assert taken == [1, 2, 4, 4, *[8] * 4, *[16] * 8]
    assert memoryview(body) == b"".join(mebibytes)
    assert budget.peak == budget.used  # what it had before is not taken a second time
    del body
    assert budget.used == 0


def test_one_that_may_not_grow_where_it_is_goes_to_the_spill() -> None:
    sink, budget = Gathering(), Budget(8 * MIB - 1)
    body = Body(32 * MIB, lambda: sink, 0, budget)
    for _ in range(4):
        body.write(bytes(MIB))
    assert (body.spilled, budget.used) == (None, 4 * MIB)
    body.write(b"one more")
    assert body.spilled is sink
    assert sink.data == bytes(4 * MIB) + b"one more"
    assert budget.used == 0


def test_memory_that_was_used_for_less_is_used_for_more() -> None:
    empty_pool()
    small = gathered(3 * MIB, 1)
    address = address_of(small)
    del small
    large = gathered(12 * MIB, 2)
    assert address_of(large) == address
    assert numpy.all(numpy.frombuffer(large, "u1") == 2)


def test_while_others_may_wait_memory_is_of_small_pages_and_not_kept_when_none_does() -> None:
    empty_pool()
    others = SimpleNamespace(may_wait=True)
    huge_page, kept = 2 * MIB, []
    for may_wait in [True, True, False, False, True]:
        body = Body(expected=12 * MIB, others=others)
        body.write(bytes([may_wait]) * 12 * MIB)
        assert numpy.all(numpy.frombuffer(body, "u1") == may_wait)
        kept.append(address_of(body))
        others.may_wait = may_wait
        del body
    assert [address % huge_page != 0 for address in kept] == [True, True, True, False, False]
    assert kept[0] == kept[1] == kept[2]
    assert kept[3] == kept[4]


def test_a_budget_that_is_used_up_has_what_is_kept_given_back() -> None:
    size = 1 << 20
    bodies = [gathered(size, fill) for fill in range(40)]
    kept = bodies[::7]
    before = resident_bytes()
    del bodies
    # What is asked for leaves no room for what the pool keeps: it goes, but for the other halves of pages in use.
    assert Budget(16).take(16)
    assert before - resident_bytes() > (40 - 2 * len(kept)) * size * 0.9
    for fill, body in zip(range(0, 40, 7), kept, strict=True):
        assert numpy.all(numpy.frombuffer(body, "u1") == fill)


def test_the_buffer_is_read_only_and_contiguous() -> None:
    body = Body()
    body.write(b"12345")
    view = memoryview(body)
    assert view.readonly
    assert view.contiguous
    assert (view.format, view.itemsize, view.nbytes) == ("B", 1, 5)
    with pytest.raises(TypeError, match="not writable"):
        ctypes.c_char.from_buffer(body)


def test_the_buffer_outlives_the_body() -> None:
    body = Body()
    body.write(b"x" * 100_000)
    view = memoryview(body)
    del body
    other = Body()
    other.write(b"y" * 100_000)
    assert view == b"x" * 100_000


def test_it_does_not_move_while_somebody_looks_at_it() -> None:
    body = Body()
    body.write(b"x" * 100)
    with memoryview(body) as view:
        with pytest.raises(BufferError, match="growing"):
            body.write(b"y" * 1_000_000)
        assert view == b"x" * 100
    body.write(b"y" * 1_000_000)
    assert len(body) == 1_000_100


def test_it_does_not_spill_while_somebody_looks_at_it() -> None:
    sink = Gathering()
    body = Body(100, lambda: sink)
    body.write(b"x" * 100)
    with memoryview(body) as view:
        with pytest.raises(BufferError, match="growing"):
            body.write(b"y")
        assert view == b"x" * 100
    assert body.spilled is None
    body.write(b"y")
    assert body.spilled is sink
    assert sink.data == b"x" * 100 + b"y"


@checked(60)
@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(0, 200))
def test_past_its_limit_everything_goes_to_the_spill(pieces: list[bytes], limit: int) -> None:
    made: list[Gathering] = []

    def spill() -> Gathering:
        made.append(Gathering())
        return made[-1]

    body = Body(limit, spill)
    for piece in pieces:
        body.write(piece)
    body.finish()
    whole = b"".join(pieces)
    if len(whole) <= limit:
        assert not made
        assert body.spilled is None
        assert memoryview(body) == whole
    else:
        assert body.spilled is made[0]
        assert len(made) == 1
        assert made[0].data == whole
        assert made[0].is_complete
        assert len(body) == 0


def test_a_limit_without_a_spill_is_none() -> None:
    body = Body(10)
    body.write(bytes(100))
    assert len(body) == 100


def test_once_complete_it_lets_go_of_what_would_have_made_a_spill() -> None:
    def spill() -> Gathering:
        return Gathering()

    kept = weakref.ref(spill)
    body = Body(10, spill)
    del spill
    body.write(b"12")
    assert kept() is not None
    body.finish()
    assert kept() is None
    assert memoryview(body) == b"12"


def test_abandoning_it_abandons_the_spill() -> None:
    sink = Gathering()
    body = Body(1, lambda: sink)
    body.abandon()
    assert not sink.is_abandoned
    body.write(b"12")
    body.abandon()
    assert sink.is_abandoned


def test_a_spill_that_cannot_be_made_leaves_it_as_it_was() -> None:
    def spill() -> Gathering:
        raise OSError(28, "disk full")

    body = Body(2, spill)
    body.write(b"12")
    with pytest.raises(OSError, match="disk full"):
        body.write(b"3")
    assert memoryview(body) == b"12"


def test_a_spill_that_fails_at_once_is_abandoned_with_the_body() -> None:
    class Full(Gathering):
        def write(self, view: memoryview) -> None:
            raise OSError(28, "disk full")

    sink = Full()
    body = Body(2, lambda: sink)
    body.write(b"12")
    with pytest.raises(OSError, match="disk full"):
        body.write(b"3")
    body.abandon()
    assert sink.is_abandoned


def test_what_has_no_buffer_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        Body().write("text")  # type: ignore[arg-type]


def test_discard_keeps_nothing_and_says_why_it_is_there() -> None:
    discard = Discard()
    discard.write(b"123")
    discard.finish()
    discard.abandon()
    assert discard.error is None
    error = OSError(28, "disk full")
    assert Discard(error).error is error


def test_a_budget_is_taken_and_given_back() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert budget.take(40)
    assert (budget.used, budget.is_exhausted) == (100, True)
    budget.give(60)
    budget.require(80)
    assert (budget.used, budget.peak, budget.is_exhausted) == (120, 120, True)
    with pytest.raises(ValueError, match="budget"):
        Budget(-1)


@checked(60)
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=12), st.integers(0, 300))
def test_what_the_budget_does_not_have_goes_to_the_spill(pieces: list[bytes], limit: int) -> None:
    budget = Budget(limit)
    sink = Gathering()
    body = Body(10_000, lambda: sink, 0, budget)
    for piece in pieces:
        body.write(piece)
        assert budget.used <= limit
    body.finish()
    whole = b"".join(pieces)
    if body.spilled is None:
        assert memoryview(body) == whole
        assert budget.used >= len(whole)
    else:
        assert sink.data == whole
        assert budget.used == 0
    del body
    assert budget.used == 0


def test_without_a_spill_it_goes_over_the_budget() -> None:
    budget = Budget(10)
    body = Body(budget=budget)
    body.write(bytes(100))
    assert budget.used == 100
    with memoryview(body) as view:
        del body
        assert budget.used == 100  # whoever looks at it keeps it
        assert len(view) == 100
    assert budget.used == 0


def test_the_garbage_collector_gives_back_what_was_taken() -> None:
    budget = Budget(1 << 20)
    cycle: list[object] = [Body(expected=1000, budget=budget)]
    assert budget.used
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert budget.used == 0


def test_a_size_that_is_only_expected_is_not_taken_by_force() -> None:
    budget = Budget(100)
    body = Body(10_000, Gathering, 200, budget)
    assert budget.used == 0
    body.write(bytes(100))
    assert body.spilled is None
    assert budget.used == 100


@pytest.mark.parametrize("size", [100, 1 << 20, 3 << 20])
def test_the_garbage_collector_sees_what_leads_back_to_it(size: int) -> None:
    class Others:
        may_wait = True
        last: Body

    others = Others()
    others.last = body = Body(others=others)
    body.write(bytes(size))
    body.finish()
    seen = weakref.ref(others)
    del body, others
    gc.collect()
    assert seen() is None


def copies() -> list[Callable[[object], object]]:
    return [copy.copy, copy.deepcopy, *(partial(pickle.dumps, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1))]


@pytest.mark.parametrize("make_copy", copies())
def test_memory_is_not_copied_by_its_address(make_copy: Callable[[object], object]) -> None:
    body = Body()
    body.write(b"x" * 1000)
    with pytest.raises(TypeError):
        make_copy(body)
    tried = []

    def try_it(view: memoryview) -> None:
        with pytest.raises(TypeError):
            make_copy(view.obj)
        tried.append(len(view))

    spilled = Body(0, lambda: SimpleNamespace(write=try_it, finish=lambda: None, abandon=lambda: None))
    spilled.write(b"x" * 1000)
    assert tried == [1000]


def test_it_begins_once() -> None:
    budget = Budget(10_000_000)
    body = Body(0, None, 1, budget)
    body.write(b"x" * 5_000_000)
    used = budget.used
    body.__init__(0, None, 10, Budget(100))  # type: ignore[misc]
    assert (len(body), budget.used) == (5_000_000, used)
    del body
    assert budget.used == 0
