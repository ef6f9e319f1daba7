"""De-identification by the Application Level Confidentiality Profiles (PS3.15 annex E)."""

from .deidentifier import Deidentifier
from .files import deidentify_file
from .keys import new_key, read_key, write_new_key
from .options import Options
from .regions import DeviceRule, DeviceRules

__all__ = [
    "Deidentifier",
    "DeviceRule",
    "DeviceRules",
    "Options",
    "deidentify_file",
    "new_key",
    "read_key",
    "write_new_key",
]
