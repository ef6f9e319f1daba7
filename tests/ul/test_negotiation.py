"""Negotiation: what is accepted, what is answered, what is rejected with which codes."""

from __future__ import annotations

from dataclasses import replace
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.ul.negotiation import (
    ANY,
    Preference,
    Support,
    agreed_roles,
    agreed_window,
    check_request,
    general_sop_classes,
    negotiate,
    negotiate_roles,
    negotiate_window,
)
from aiodicom.ul.pdu import (
    AssociateRJ,
    AssociateRQ,
    AsynchronousOperationsWindow,
    ContextResult,
    ProposedContext,
    ResultReason,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
)
from tests.ul.wire import PLAIN_RQ, bytes_16, checked, requests

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PRIVATE = "1.2.3.4.5"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"
Window = AsynchronousOperationsWindow


def result_of(support: Support, abstract_syntax: str, *transfer_syntaxes: str) -> ContextResult:
    """What one proposed context gets."""
    (result,) = negotiate([ProposedContext(7, abstract_syntax, transfer_syntaxes)], support)
    assert result.context_id == 7
    return result


def accepted(transfer_syntax: str) -> ContextResult:
    """Result 0."""
    return ContextResult(7, ResultReason.ACCEPTANCE, transfer_syntax)


NO_ABSTRACT_SYNTAX = ContextResult(7, ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED)
NO_TRANSFER_SYNTAX = ContextResult(7, ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED)


def test_the_requestors_order_decides() -> None:
    support = Support({CT: (EXPLICIT, IMPLICIT)})
    assert result_of(support, CT, JPEG, IMPLICIT, EXPLICIT) == accepted(IMPLICIT)


def test_the_acceptors_order_decides_when_it_is_said() -> None:
    support = Support({CT: (EXPLICIT, IMPLICIT)}, preference="acceptor")
    assert result_of(support, CT, JPEG, IMPLICIT, EXPLICIT) == accepted(EXPLICIT)


@pytest.mark.parametrize("preference", ["requestor", "acceptor"])
def test_refusals(preference: Preference) -> None:
    support = Support({CT: (EXPLICIT,), MR: ()}, preference=preference)
    assert result_of(support, PRIVATE, EXPLICIT) == NO_ABSTRACT_SYNTAX
    assert result_of(support, CT, JPEG, IMPLICIT) == NO_TRANSFER_SYNTAX
    assert result_of(support, MR, EXPLICIT) == NO_TRANSFER_SYNTAX


def test_what_the_default_does_not_apply_to() -> None:
    support = Support({CT: ANY}, ANY, refused=frozenset((CT, MR)))
    assert result_of(support, CT, EXPLICIT) == accepted(EXPLICIT)
    assert result_of(support, PRIVATE, EXPLICIT) == accepted(EXPLICIT)
    assert result_of(support, MR, EXPLICIT) == NO_ABSTRACT_SYNTAX


@pytest.mark.parametrize("preference", ["requestor", "acceptor"])
def test_any_transfer_syntax(preference: Preference) -> None:
    support = Support({CT: ANY}, preference=preference)
    assert result_of(support, CT, PRIVATE, IMPLICIT) == accepted(PRIVATE)
    assert result_of(support, MR, IMPLICIT) == NO_ABSTRACT_SYNTAX
    # What is no UID is not accepted unseen.
    assert result_of(support, CT, "", "../x", IMPLICIT) == accepted(IMPLICIT)
    assert result_of(support, CT, "") == NO_TRANSFER_SYNTAX


def test_a_default_for_what_is_not_listed() -> None:
    support = Support({CT: (EXPLICIT,)}, default=(IMPLICIT,))
    assert result_of(support, PRIVATE, EXPLICIT, IMPLICIT) == accepted(IMPLICIT)
    assert result_of(support, PRIVATE, EXPLICIT) == NO_TRANSFER_SYNTAX
    assert result_of(support, CT, IMPLICIT) == NO_TRANSFER_SYNTAX
    support = Support({}, default=ANY)
    assert result_of(support, PRIVATE, JPEG) == accepted(JPEG)
    assert result_of(support, "", JPEG) == NO_ABSTRACT_SYNTAX
    assert result_of(support, "../../x", JPEG) == NO_ABSTRACT_SYNTAX


def test_support_is_a_value() -> None:
    assert Support({CT: (EXPLICIT,)}) == Support({CT: (EXPLICIT,)})
    assert Support({CT: (EXPLICIT,)}) != Support({CT: ANY})


@checked(200)
@given(requests, st.data())
def test_every_proposed_context_gets_one_result_in_order(rq: AssociateRQ, data: st.DataObject) -> None:
    syntaxes = [context.abstract_syntax for context in rq.contexts]
    transfers = [syntax for context in rq.contexts for syntax in context.transfer_syntaxes]
    some = st.lists(st.sampled_from(transfers), max_size=4).map(tuple) | st.just(ANY)
    listed = data.draw(st.dictionaries(st.sampled_from(syntaxes), some))
    support = Support(listed, data.draw(st.none() | some), data.draw(st.sampled_from(["requestor", "acceptor"])))
    results = negotiate(rq.contexts, support)
    assert [result.context_id for result in results] == [context.context_id for context in rq.contexts]
    for context, result in zip(rq.contexts, results, strict=True):
        supported = listed.get(context.abstract_syntax, support.default)
        if result.result is ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED:
            assert supported is None
        elif result.result is ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED:
            assert supported is not None
            assert supported is not ANY
            assert not set(supported) & set(context.transfer_syntaxes)
        else:
            assert result.result is ResultReason.ACCEPTANCE
            assert supported is not None
            common = [s for s in context.transfer_syntaxes if supported is ANY or s in supported]
            if support.preference == "acceptor" and supported is not ANY:
                common = [s for s in supported if s in context.transfer_syntaxes]
            assert result.transfer_syntax == common[0]
        assert bool(result.transfer_syntax) == (result.result is ResultReason.ACCEPTANCE)


@pytest.mark.parametrize("preference", ["requestor", "acceptor"])
def test_hundreds_of_transfer_syntaxes_in_128_contexts(preference: Preference) -> None:
    many = tuple(f"1.2.3.{n}" for n in range(500))
    contexts = [ProposedContext(2 * n + 1, f"1.2.4.{n}", (*many, IMPLICIT)) for n in range(128)]
    ours = (*(f"1.2.5.{n}" for n in range(500)), IMPLICIT)
    support = Support({context.abstract_syntax: ours for context in contexts}, preference=preference)
    started = process_time()
    results = negotiate(contexts, support)
    # Linear: some 128 * 500 look-ups; compared one with another it would be 32 million.
    assert process_time() - started < 0.5
    assert {result.transfer_syntax for result in results} == {IMPLICIT}


# Rejection -----------------------------------------------------------------------------------------------------------


def rejection(**changes: object) -> AssociateRJ | None:
    """What a request changed like this is answered by an acceptor that minds how it is called."""
    return check_request(replace(PLAIN_RQ, **changes), "CALLED")  # type: ignore[arg-type]


def test_nothing_to_reject() -> None:
    assert rejection() is None
    assert rejection(protocol_version=0xFFFF) is None
    assert check_request(replace(PLAIN_RQ, called_ae_title="X"), None) is None


def test_rejections_have_the_standards_codes() -> None:
    assert rejection(protocol_version=0) == AssociateRJ(1, 2, 2)
    assert rejection(protocol_version=0xFFFE) == AssociateRJ(1, 2, 2)
    assert rejection(application_context_name="1.2.840.10008.3.1.1.2") == AssociateRJ(1, 1, 2)
    assert rejection(called_ae_title="OTHER") == AssociateRJ(1, 1, 7)


# The asynchronous operations window ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proposed", "invoked_limit", "performed_limit", "answered"),
    [
        (None, 5, 5, None),
        (Window(1, 1), 5, 7, Window(1, 1)),
        # The peer may invoke what we perform, and performs what we invoke.
        (Window(10, 10), 5, 7, Window(7, 5)),
        (Window(3, 10), 5, 7, Window(3, 5)),
        (Window(10, 3), 5, 7, Window(7, 3)),
        (Window(0, 0), 5, 7, Window(7, 5)),
        (Window(0, 0), 0, 0, Window(0, 0)),
        (Window(4, 4), 0, 0, Window(4, 4)),
    ],
)
def test_the_window_that_is_answered(
    proposed: Window | None, invoked_limit: int, performed_limit: int, answered: Window | None
) -> None:
    assert negotiate_window(proposed, invoked_limit, performed_limit) == answered


@checked(200)
@given(st.builds(Window, bytes_16, bytes_16), bytes_16, bytes_16)
def test_never_more_than_proposed_nor_than_we_can(proposed: Window, invoked_limit: int, performed_limit: int) -> None:
    answered = negotiate_window(proposed, invoked_limit, performed_limit)
    assert answered is not None
    for value, offer, limit in (
        (answered.invoked, proposed.invoked, performed_limit),
        (answered.performed, proposed.performed, invoked_limit),
    ):
        bounds = [bound for bound in (offer, limit) if bound]
        assert value == (min(bounds) if bounds else 0)
    assert agreed_window(proposed, answered) == answered


def test_the_window_that_holds() -> None:
    assert agreed_window(None, None) == Window(1, 1)
    assert agreed_window(Window(5, 5), None) == Window(1, 1)
    assert agreed_window(None, Window(5, 5)) == Window(1, 1)
    assert agreed_window(Window(5, 1), Window(3, 1)) == Window(3, 1)
    # A peer that answers more than it was offered does not get it.
    assert agreed_window(Window(5, 1), Window(9, 0)) == Window(5, 1)
    assert agreed_window(Window(0, 0), Window(9, 2)) == Window(9, 2)


# Roles ---------------------------------------------------------------------------------------------------------------


def test_roles_are_answered_where_we_have_an_opinion() -> None:
    proposed = [RoleSelection(CT, True, True), RoleSelection(MR, False, True), RoleSelection(PRIVATE, True, True)]
    answered = negotiate_roles(proposed, {CT: (True, False), MR: (True, True)})
    assert answered == (RoleSelection(CT, True, False), RoleSelection(MR, False, True))
    assert agreed_roles(proposed, answered) == {CT: (True, False), MR: (False, True)}


def test_a_sop_class_is_answered_once() -> None:
    proposed = [RoleSelection(CT, True, False), RoleSelection(CT, True, True)]
    assert negotiate_roles(proposed, {CT: (True, True)}) == (RoleSelection(CT, True, False),)
    assert agreed_roles(proposed, [RoleSelection(CT, True, True)]) == {CT: (True, False)}
    answered = [RoleSelection(CT, False, False), RoleSelection(CT, True, True)]
    assert agreed_roles([RoleSelection(CT, True, True)], answered) == {CT: (False, False)}


def test_roles_that_were_not_proposed_are_not_agreed() -> None:
    answered = [RoleSelection(CT, True, True), RoleSelection(MR, True, True)]
    assert agreed_roles([RoleSelection(CT, False, True)], answered) == {CT: (False, True)}
    assert agreed_roles([RoleSelection(CT, True, True)], []) == {}


# Related general SOP classes -----------------------------------------------------------------------------------------


def related(uid: str, *general: str) -> SOPClassCommonExtendedNegotiation:
    """What the requestor says of a storage SOP class."""
    return SOPClassCommonExtendedNegotiation(uid, "1.2.840.10008.4.2", general)


def test_the_first_related_sop_class_that_is_supported_counts() -> None:
    support = Support({CT: (EXPLICIT,), MR: (IMPLICIT,)})
    assert general_sop_classes([related(PRIVATE, "1.2.3", MR, CT)], support) == {PRIVATE: MR}
    assert general_sop_classes([related(PRIVATE, "1.2.3"), related("1.2.4")], support) == {}


def test_what_is_listed_or_refused_or_no_uid_is_not_replaced() -> None:
    support = Support({CT: (EXPLICIT,), MR: (IMPLICIT,)}, refused=frozenset((PRIVATE,)))
    assert general_sop_classes([related(CT, MR), related(PRIVATE, MR), related("../x", MR)], support) == {}
    assert general_sop_classes([related(PRIVATE, MR)], Support({MR: (IMPLICIT,)}, default=(EXPLICIT,))) == {}


def test_the_first_of_several_items_counts() -> None:
    support = Support({CT: (EXPLICIT,), MR: (IMPLICIT,)})
    assert general_sop_classes([related(PRIVATE, CT), related(PRIVATE, MR)], support) == {PRIVATE: CT}
    assert general_sop_classes([related(PRIVATE), related(PRIVATE, MR)], support) == {}


@pytest.mark.parametrize("preference", ["requestor", "acceptor"])
def test_a_specialized_sop_class_has_the_transfer_syntaxes_of_the_general_one(preference: Preference) -> None:
    support = Support({CT: (EXPLICIT,)}, preference=preference)
    contexts = [ProposedContext(1, PRIVATE, (IMPLICIT, EXPLICIT)), ProposedContext(3, PRIVATE, (IMPLICIT,))]
    assert negotiate(contexts, support, {PRIVATE: CT}) == (
        ContextResult(1, ResultReason.ACCEPTANCE, EXPLICIT),
        ContextResult(3, ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED),
    )
