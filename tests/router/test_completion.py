"""Completion of studies, without a clock."""

from __future__ import annotations

from aiodicom.router.completion import Completion


def complete(completion: Completion, now: float) -> dict[str, str]:
    return dict(completion.due(now))


def test_a_quiet_time_begins_anew_with_each_object() -> None:
    completion = Completion(30)
    completion.arrived("1.2", "1.2.1", 0)
    completion.arrived("1.3", "1.3.1", 10)
    completion.arrived("1.2", "1.2.2", 20)
    assert completion.next_deadline == 40
    assert complete(completion, 39.9) == {}
    assert complete(completion, 40) == {"1.3": "nothing has come for 30 s"}
    assert completion.next_deadline == 50
    assert list(complete(completion, 1000)) == ["1.2"]
    assert completion.next_deadline is None


def test_a_count_ends_it_and_doubles_do_not_count() -> None:
    completion = Completion(30)
    completion.arrived("1.2", "1.2.1", 0, expected=2)
    completion.arrived("1.2", "1.2.1", 1)
    assert complete(completion, 1) == {}
    completion.arrived("1.2", "1.2.2", 2)
    assert completion.next_deadline == 0
    assert complete(completion, 2) == {"1.2": "all 2 instances are there"}


def test_a_performed_step_ends_it_once_all_that_it_names_are_there() -> None:
    completion = Completion(30)
    completion.performed("1.2", ["1.2.1"])  # of what was never seen
    completion.arrived("1.2", "1.2.1", 0)
    completion.performed("1.2", ["1.2.1", "1.2.2"])
    assert complete(completion, 1) == {}
    completion.arrived("1.2", "1.2.9", 1)
    assert complete(completion, 1) == {}
    completion.arrived("1.2", "1.2.2", 2)
    assert complete(completion, 2) == {"1.2": "the performed procedure step has ended"}


def test_what_comes_late_is_one_more_completion() -> None:
    completion = Completion(30)
    completion.arrived("1.2", "1.2.1", 0)
    assert list(complete(completion, 30)) == ["1.2"]
    completion.arrived("1.2", "1.2.2", 31)
    assert list(complete(completion, 61)) == ["1.2"]


def test_not_more_are_watched_than_there_may_be() -> None:
    completion = Completion(30, most=2)
    for number in range(3):
        completion.arrived(f"1.{number}", "1", number)
    assert complete(completion, 2) == {"1.0": "too many are watched"}
    assert len(completion) == 2
