"""PS3.7, the message exchange, without IO: command sets, typed messages, operations in flight."""
