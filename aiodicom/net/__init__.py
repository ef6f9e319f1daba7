"""Associations over asyncio: transport, SCU, SCP, and several processes on one socket."""
