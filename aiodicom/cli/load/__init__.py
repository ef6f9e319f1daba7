"""`aiodicom load`: subcommands, one a module."""
