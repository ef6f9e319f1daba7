"""What the SCUs of a run do, one operation a module."""
