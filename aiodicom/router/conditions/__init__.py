"""The language of conditions: small, safe, compiled once.

    Modality == "CT" and "CINE" in SeriesDescription and calling_aet ~ "ER*"

`lexer` makes tokens of a text, `parser` nodes of tokens (`syntax`), `compiler` a function of nodes; `kinds` says what
values of attributes are compared as, and `reading` finds them in a data set. docs/router.md is the reference.
"""
