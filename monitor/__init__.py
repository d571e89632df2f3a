"""Prometheus exporter and annotation endpoint for image uploads on VMware Avi Load Balancer Controllers."""

__version__ = "0.1.0"
