"""The router's page and its control: HTTP in front of `router.control`."""
