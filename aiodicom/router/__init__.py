"""The router: rules, a durable queue, senders."""
