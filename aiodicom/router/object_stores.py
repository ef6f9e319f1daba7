"""Object stores (S3 and its like) as the router uses them, for destinations and for the queue of several nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from obstore.exceptions import BaseError
from obstore.store import from_url

__all__ = ["open_store", "reason_of"]

#: Seconds for a request, and for all its attempts.
_TIMEOUT: Final = "30s"
_PATIENCE: Final = timedelta(seconds=60)
_ATTEMPTS: Final = 3
_MOST_REASON: Final = 200
#: Where machines of clouds are told their keys.
_METADATA: Final = "169.254.169.254"


def open_store(url: str, options: Mapping[str, str]) -> Any:
    """Returns the store of a URL, with settings of its own such as its endpoint; nothing is asked of it yet.

    Raises ValueError.
    """
    make: Any = from_url
    try:
        if url.startswith("file:"):
            return make(url)
        return make(
            url,
            client_options={"timeout": _TIMEOUT, "allow_http": True},  # where the endpoint says so
            retry_config={"max_retries": _ATTEMPTS, "retry_timeout": _PATIENCE},
            **options,
        )
    except BaseError as error:
        raise ValueError(f"{url} is no object store that can be used: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """What a store's error says, in one line of up to 200 characters: the store's own answer where it speaks S3."""
    text = str(error)
    if _METADATA in text:  # the last that is tried
        return "there are no keys for it, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
    answer = re.search(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", text, re.DOTALL)
    said = ": ".join(answer.groups()) if answer else next(iter(text.strip().splitlines()), "")
    return " ".join(said.split())[:_MOST_REASON] or type(error).__name__
