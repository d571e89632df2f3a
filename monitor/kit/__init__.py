"""What an installation needs beside the daemon: rules, dashboards, units, examples. Knows no running daemon."""
