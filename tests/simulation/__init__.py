"""The protocol without IO in a world without sockets, whose time is what the test says."""
