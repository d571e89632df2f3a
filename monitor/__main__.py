"""
The entry point of every command: holds SIGHUP back before anything else is imported, which takes up to a second.

A SIGHUP ends a process that does not handle it, and may only ask the daemon for a reload. ``run`` receives it once it
can handle it; for every other command ``monitor.cli`` lets it through as soon as the command is known.
"""

import signal

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

from monitor.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
