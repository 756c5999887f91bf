"""Parts of gunicorn's configuration: the log of requests, and the metrics' server."""
