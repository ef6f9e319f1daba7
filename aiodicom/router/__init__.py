"""The router: receives, keeps, and forwards by rules."""
