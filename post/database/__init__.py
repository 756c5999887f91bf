"""The database as a server: its connections, its faults, its schema; no rule of the board."""
