"""What the associations of a scenario are opened with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiodicom
from aiodicom.errors import LocalError
from aiodicom.load.operations.operation import Operation
from aiodicom.load.scenario import TLS, Scenario
from aiodicom.net.handlers import Handlers
from aiodicom.net.tls import TLS_PROFILES
from aiodicom.services.receiving import receiving_contexts
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.pdu import MOST_CONTEXTS

__all__ = ["connect_options"]


def connect_options(scenario: Scenario, operations: Iterable[Operation], handlers: Handlers) -> dict[str, Any]:
    """Returns the keyword arguments of `aiodicom.connect`, but for those that differ between SCUs.

    Raises `LocalError` for more contexts than an association has, and for files of TLS that can't be used.
    """
    used = list(operations)
    contexts = list(dict.fromkeys(context for each in used for context in each.contexts)) or [VERIFICATION]
    if len(contexts) > MOST_CONTEXTS:
        raise LocalError(
            f"the operations need {len(contexts)} presentation contexts, and an association has {MOST_CONTEXTS}: "
            "store fewer kinds of objects in a run"
        )
    receives: list[Any] = []
    if any(each.is_receiving for each in used):
        receives = receiving_contexts(room=MOST_CONTEXTS - len(contexts))
    timeouts = scenario.timeouts
    return {
        "contexts": contexts,
        "receives": receives,
        "max_pdu": scenario.max_pdu,
        "window": scenario.window,
        "handlers": handlers,
        "timeouts": aiodicom.Timeouts(
            connect=timeouts.connect or None, acse=timeouts.acse or None, dimse=timeouts.dimse or None
        ),
        **_tls(scenario.tls),
    }


def _tls(tls: TLS | None) -> dict[str, Any]:
    if tls is None:
        return {}
    password = None
    if tls.key_password_file is not None:
        try:
            password = Path(tls.key_password_file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        except OSError as error:
            raise LocalError(f"{tls.key_password_file}: {error.strerror}") from error
    context = aiodicom.tls_client_context(
        TLS_PROFILES[tls.profile],
        ca=tls.ca,
        cert=tls.cert,
        key=tls.key,
        key_password=password,
        verify=not tls.insecure,
    )
    return {"ssl": context, "server_hostname": tls.server_name}
