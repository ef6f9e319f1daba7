"""What an AE title is."""

from __future__ import annotations

import pytest

from aiodicom.standard.ae_titles import ae_title


@pytest.mark.parametrize("title", ["A", "STORE SCP", "a-b_c.d:e", "1234567890123456", "~!"])
def test_titles(title: str) -> None:
    assert ae_title(title) == title
    assert ae_title(f"  {title} ") == title


@pytest.mark.parametrize("text", ["", " ", " " * 16, "12345678901234567", "A\\B", "A\tB", "A\nB", "\x7f", "Ä", "\t"])
def test_what_is_no_title(text: str) -> None:
    with pytest.raises(ValueError, match="no AE title"):
        ae_title(text)
