"""The daemon's HTTP API and page: one table of routes, one error format, one place for authentication."""
