"""Which presentation contexts are proposed: for files that are known beforehand, and for what a pool learns."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom.errors import LocalError
from aiodicom.net.proposing import Need, Proposals, pairs, proposal
from aiodicom.net.transcoding import Transcoding, alternatives
from aiodicom.standard.uids import VERIFICATION

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT, DEFLATED, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
#: What is proposed for a native object besides explicit VR little endian.
OTHERS = (IMPLICIT, DEFLATED, BIG)
JPEG = "1.2.840.10008.1.2.4.50"
#: Compressed without loss: what is proposed for a native object, and for a JPEG one, which is in others as it stands.
LOSSLESS = alternatives(EXPLICIT, Transcoding.LOSSLESS)[1]
OF_JPEG = alternatives(JPEG, Transcoding.LOSSLESS)[1]
NATIVE = (EXPLICIT, *OTHERS)


def jpeg(number: int) -> Need:
    return Need(f"1.2.{number}", (JPEG,), True)


@pytest.mark.parametrize(
    ("kinds", "contexts"),
    [
        ([], []),
        ([(CT, JPEG)], [(CT, (JPEG,)), (CT, NATIVE), (CT, OF_JPEG)]),
        ([(CT, EXPLICIT)], [(CT, (EXPLICIT,)), (CT, OTHERS), (CT, LOSSLESS)]),
        ([(CT, BIG)], [(CT, (BIG,)), (CT, (EXPLICIT, IMPLICIT, DEFLATED)), (CT, LOSSLESS)]),
        # One more context of each sort for a SOP class, however many kinds there are.
        (
            [(CT, JPEG), (CT, IMPLICIT), (CT, EXPLICIT), ("1.2", EXPLICIT)],
            [
                (CT, (JPEG,)),
                (CT, (IMPLICIT,)),
                (CT, (EXPLICIT,)),
                ("1.2", (EXPLICIT,)),
                (CT, (DEFLATED, BIG)),
                ("1.2", OTHERS),
                (CT, OF_JPEG),
                ("1.2", LOSSLESS),
            ],
        ),
    ],
)
def test_what_is_proposed(kinds: list[tuple[str, str]], contexts: list[tuple[str, tuple[str, ...]]]) -> None:
    assert proposal(kinds) == contexts


def test_what_is_proposed_where_there_is_no_room_for_more() -> None:
    kinds = [(f"1.2.{number}", EXPLICIT) for number in range(127)]
    contexts = proposal(kinds)
    assert len(contexts) == 128
    assert contexts[0] == ("1.2.0", (EXPLICIT,))
    assert contexts[1:127] == [(sop_class, (EXPLICIT, *OTHERS)) for sop_class, _ in kinds[1:]]
    assert contexts[127] == ("1.2.0", OTHERS)


@pytest.mark.parametrize(
    ("policy", "native", "jpeg"),
    [
        (Transcoding.NEVER, [], []),
        (Transcoding.DECOMPRESS_ONLY, [OTHERS], [NATIVE]),
        (Transcoding.LOSSLESS, [OTHERS, LOSSLESS], [NATIVE, OF_JPEG]),
        (Transcoding.LOSSY, [OTHERS, LOSSLESS, ...], [NATIVE, OF_JPEG, ...]),
    ],
)
def test_what_is_proposed_by_each_policy(policy: Transcoding, native: list[Any], jpeg: list[Any]) -> None:
    for own, others in ((EXPLICIT, native), (JPEG, jpeg)):
        contexts = proposal([(CT, own)], transcoding=policy)
        assert contexts[0] == (CT, (own,))
        assert len(contexts) == 1 + len(others)
        for (_, proposed), wanted in zip(contexts[1:], others, strict=True):
            assert wanted in (proposed, ...)
            assert own not in proposed


# --- what is needed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("need", "proposed", "is_met"),
    [
        (Need(CT), [(CT, (JPEG,))], True),
        (Need(CT), [(CT + ".1", (JPEG,))], False),
        (Need(CT, (IMPLICIT, EXPLICIT), True), [(CT, (EXPLICIT,))], False),
        (Need(CT, (IMPLICIT, EXPLICIT), True), [(CT, (EXPLICIT, IMPLICIT))], True),
        (Need(CT, (IMPLICIT, EXPLICIT), False), [(CT, (EXPLICIT,))], True),
        (Need(CT, (IMPLICIT, EXPLICIT), False), [(CT, (JPEG,))], False),
    ],
)
def test_what_asks_for_a_need(need: Need, proposed: list[tuple[str, tuple[str, ...]]], is_met: bool) -> None:
    assert need.is_met_by(pairs(proposed)) is is_met


# --- what is learned -------------------------------------------------------------------------------------------------


def test_what_is_given_and_what_is_learned() -> None:
    proposals = Proposals([VERIFICATION, (CT, [IMPLICIT])])
    proposals.need(Need(CT))
    proposals.need(Need(CT, (IMPLICIT, EXPLICIT), True))
    assert len(proposals.contexts()) == 2
    proposals.need(Need("1.2.3"))
    proposals.need(jpeg(4))
    assert proposals.contexts() == [
        (VERIFICATION, (EXPLICIT, IMPLICIT)),
        (CT, (IMPLICIT,)),
        ("1.2.3", (EXPLICIT, IMPLICIT)),
        ("1.2.4", (JPEG,)),
        ("1.2.4", NATIVE),
        ("1.2.4", OF_JPEG),
    ]


def test_where_nothing_is_known_verification_is_proposed() -> None:
    proposals = Proposals()
    assert proposals.contexts() == [(VERIFICATION, (EXPLICIT, IMPLICIT))]
    proposals.need(jpeg(1))
    assert proposals.contexts() == [("1.2.1", (JPEG,)), ("1.2.1", NATIVE), ("1.2.1", OF_JPEG)]


def test_what_was_needed_least_recently_makes_room() -> None:
    proposals = Proposals([VERIFICATION])
    for number in range(127):
        proposals.need(jpeg(number))
    proposals.need(jpeg(0))
    proposals.touch(jpeg(1))
    proposals.touch(jpeg(1000))
    proposals.need(jpeg(127))
    proposals.need(jpeg(128))
    proposed = {abstract for abstract, _ in proposals.contexts()}
    assert len(proposals.contexts()) == 128
    assert {VERIFICATION, "1.2.0", "1.2.1", "1.2.127", "1.2.128"} <= proposed
    assert not {"1.2.2", "1.2.3", "1.2.1000"} & proposed


def test_what_is_needed_all_the_time_stays_among_others() -> None:
    """However often it is the latest one already, which need not be told then."""
    proposals = Proposals()
    often = jpeg(1000)
    for number in range(300):
        proposals.need(jpeg(number))
        assert proposals.latest is None
        if not number:
            proposals.need(often)
        proposals.touch(often)
        assert proposals.latest is often
    assert "1.2.1000" in {abstract for abstract, _ in proposals.contexts()}


@pytest.mark.parametrize("native", [0, 60, 127])
def test_never_more_than_128(native: int) -> None:
    proposals = Proposals([VERIFICATION])
    for number in range(200):
        proposals.need(jpeg(number))
        if number < native:
            proposals.need(Need(f"1.2.{number}", (EXPLICIT, *OTHERS), True))
        assert len(proposals.contexts()) <= 128


def test_no_room() -> None:
    proposals = Proposals([(f"1.2.{number}", [JPEG]) for number in range(128)])
    proposals.need(jpeg(127))
    with pytest.raises(LocalError, match="no more can be proposed"):
        proposals.need(jpeg(128))


def test_no_room_beside_what_is_received() -> None:
    proposals = Proposals([VERIFICATION], reserved=127)
    with pytest.raises(LocalError, match="given 1 presentation contexts and 127 more to receive in: no more"):
        proposals.need(jpeg(1))


def test_refusals_are_kept_for_a_time_and_bounded() -> None:
    proposals = Proposals()
    proposals.need(jpeg(1))
    proposals.refuse(jpeg(1), "no", until=100.0)
    assert proposals.contexts() == [(VERIFICATION, (EXPLICIT, IMPLICIT))]
    refusal = proposals.refusal(jpeg(1), 99.0)
    assert refusal is not None
    assert (str(refusal), refusal.abstract_syntax, refusal.transfer_syntax) == ("no", "1.2.1", JPEG)
    assert proposals.refusal(jpeg(2), 99.0) is None
    assert proposals.refusal(jpeg(1), 100.0) is None
    assert proposals.refusal(jpeg(1), 50.0) is None
    for number in range(3000):
        proposals.refuse(jpeg(number), "no", until=1000.0)
    assert sum(proposals.refusal(jpeg(number), 0.0) is not None for number in range(3000)) == 1024
