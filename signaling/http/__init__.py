"""The HTTP face: routes, middleware, static client, health and metrics."""
