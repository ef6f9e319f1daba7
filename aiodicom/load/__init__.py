"""Load generation: synthetic objects, and drivers that send them."""
