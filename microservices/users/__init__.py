"""The directory of users: read, renamed, promoted and removed. It never reads password hashes."""
