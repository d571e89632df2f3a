"""
One module a command: its declaration for click, and what it does.

``avi-upgrade-monitor --help`` imports all of them, so each imports its heavy modules (aiohttp, SQLAlchemy, rich,
structlog) only when it runs.
"""
