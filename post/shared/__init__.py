"""State shared between processes: in memory between the workers of one gunicorn, in Redis between replicas."""
