"""What a router is configured to do: one TOML file, as frozen structs.

Each module here has one family of sections, `root` the whole. `reading` makes it of a file and finds every mistake,
`checking` those that take two sections to be one, and `reloading` tells what has changed. docs/router.md is the
reference.
"""
