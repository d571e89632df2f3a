"""The daemon's own HTTP: one table of routes, one error form, one place that asks who may come in."""
