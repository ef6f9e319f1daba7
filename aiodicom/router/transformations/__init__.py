"""What is made of objects on their way.

`pipeline` applies the steps of a route, one after the other, to a copy of the data set that shares its bytes; only what
a step changes is encoded anew. `making` makes steps of a configuration; the other modules have a kind of step each.
"""
