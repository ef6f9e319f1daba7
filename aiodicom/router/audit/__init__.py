"""Audit trail messages (PS3.15 A.5), and their way to a repository (A.6, A.7)."""
