"""Reports to show people: a page of one run, and one of two runs side by side.

Each is one file that needs no network: plotly.js, style and data are in it.
"""
