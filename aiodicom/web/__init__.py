"""HTTP beside what runs, on its event loop: metrics."""
