"""Synthetic studies of all kinds of objects, valid by their IODs, with pixels that compress like real ones."""

from aiodicom.load.synthesis.studies import KINDS, Shape, synthetic

__all__ = ["KINDS", "Shape", "synthetic"]
