"""Ways of sending objects, one kind of destination a module: `make` chooses."""
