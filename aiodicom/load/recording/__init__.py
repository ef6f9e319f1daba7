"""Records what passes between a modality and a PACS, and reads it for a replay.

`observing` understands a copy of the bytes, without IO; `proxy` moves them; `trace` is the file.
"""
