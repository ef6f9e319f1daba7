"""The router: what it is configured to do, and which way objects go."""
