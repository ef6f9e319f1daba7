"""What is done about deliveries that failed, without a clock."""

from __future__ import annotations

from aiodicom.router.attempts import Attempts, Verdict
from aiodicom.router.breaker import State
from aiodicom.router.config.destinations import Breaker, RetryPolicy
from aiodicom.router.config.values import Seconds
from aiodicom.router.outcomes import Fault, Outcome

DESTINATION = Outcome(Fault.DESTINATION, "status A700H", status=0xA700)
EITHER = Outcome(Fault.EITHER, "the peer closed the connection")
OBJECT = Outcome(Fault.OBJECT, "status C000H", status=0xC000)
POLICY = RetryPolicy(first=Seconds(5), most=Seconds(600), jitter=0.0, attempts=3)


def attempts(failures: int = 5) -> Attempts:
    return Attempts(POLICY, Breaker(failures=failures, pause=Seconds(30)))


def test_a_destination_that_takes_nothing_for_a_day_costs_no_object_an_attempt() -> None:
    judged = attempts()
    now, trials = 0.0, 0
    while now < 86_400:
        if judged.breaker.allowance(now) >= 1:
            trials += 1
            assert judged.failed((1, 0), 0, DESTINATION, now, 0.0) == Verdict(0.0, False)
        else:
            assert judged.breaker.reopens_at is not None
            now = judged.breaker.reopens_at
    assert trials < 200  # it is not hammered
    assert judged.breaker.reason == "status A700H"
    judged.breaker.allowance(now)
    judged.succeeded()
    assert judged.breaker.state is State.CLOSED


def test_an_object_that_is_refused_is_tried_again_later_and_given_up_in_the_end() -> None:
    judged = attempts()
    verdicts = [judged.failed((1, 0), before, OBJECT, 0.0, 0.0) for before in range(3)]
    assert verdicts == [Verdict(5.0, True), Verdict(10.0, True), Verdict(None, True)]
    assert judged.breaker.state is State.CLOSED


def test_some_statuses_are_final() -> None:
    refused = Outcome(Fault.OBJECT, "status 0122H", status=0x0122)
    assert attempts().failed((1, 0), 0, refused, 0.0, 0.0) == Verdict(None, True)


def test_an_association_that_ends_on_all_objects_is_the_destinations_fault() -> None:
    judged = attempts()
    for number in range(100):
        assert judged.failed((number % 3, 0), 0, EITHER, 0.0, 0.0).pause is not None


def test_one_that_ends_on_the_same_object_while_others_get_through_is_its_fault() -> None:
    judged = attempts()
    verdicts = []
    for _ in range(3):
        verdicts.append(judged.failed((1, 0), 0, EITHER, 0.0, 0.0))
        judged.succeeded()
    assert [verdict.pause is None for verdict in verdicts] == [False, False, True]


def test_an_object_that_cannot_be_sent_says_nothing_of_the_destination() -> None:
    judged = attempts(failures=1)
    judged.failed((1, 0), 0, DESTINATION, 0.0, 0.0)
    assert judged.breaker.allowance(30.0) == 1
    assert judged.failed((2, 0), 0, Outcome(Fault.HOPELESS, "damaged"), 30.0, 0.0) == Verdict(None, True)
    assert judged.breaker.allowance(30.0) == 1


def test_what_the_destination_asks_for_is_given_to_it() -> None:
    judged = attempts()
    judged.failed((1, 0), 0, Outcome(Fault.DESTINATION, "503", 100.0), 0.0, 0.0)
    assert judged.breaker.reopens_at == 100.0
