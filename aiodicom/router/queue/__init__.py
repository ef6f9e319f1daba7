"""What has been received and not delivered yet: bytes in segments, rows in SQLite."""
