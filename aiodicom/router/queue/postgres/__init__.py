"""The queue of any number of nodes: rows in PostgreSQL, bytes in an object store."""
