"""Connections to the database, its faults and its schema; no rule of the board."""
