"""Pixel data (PS3.3 C.7.6.3, PS3.5 8): frames, offset tables, codecs."""
