"""The rules of Prometheus: one table, and what makes files of it."""
