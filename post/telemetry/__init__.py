"""Metrics, traces and logs: how the service is observed."""
