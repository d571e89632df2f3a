"""Frozen structs shared by all packages, and the errors. Knows no I/O, no Avi field names and no clock."""
