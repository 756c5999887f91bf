"""The notifications: events of orders become objects in S3, which their owners list, read and delete."""
