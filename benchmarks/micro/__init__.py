"""The small parts of the engine, measured one by one: see README.md in the folder above."""
