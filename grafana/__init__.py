"""The program that writes ``dashboards/*.json``, run as ``python -m grafana``. Knows nothing of ``monitor``."""
