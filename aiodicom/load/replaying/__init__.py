"""Replays a recording: associations and operations at their times, with objects of the same kinds and sizes.

`plan` says what happens when, `model` has it happen, `objects` makes what is stored, `operations` does what was done.
"""
