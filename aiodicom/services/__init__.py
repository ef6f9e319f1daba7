"""The service classes of PS3.4, one a file."""
