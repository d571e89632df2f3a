"""
How long a test waits for something that must happen.

The limit ends a test that hangs. It is far above what anything takes, also on a machine whose cores are busy with other
work, and no test asserts how long something took.
"""

WAIT_TIMEOUT_S = 120.0
