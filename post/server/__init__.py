"""What gunicorn needs: the log of requests, and the metrics' server."""
