"""Bytes that last: files that are whole or not there."""
