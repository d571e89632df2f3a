"""
One module a command: its declaration for click, and what it does.

``monitor.cli`` imports a module when its command is called, and ``avi-upgrade-monitor --help`` all of them. So each
imports its heavy modules (aiohttp, SQLAlchemy, rich, structlog) only when the command runs.
"""
