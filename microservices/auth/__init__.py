"""Accounts, passwords and sessions, and the gateway's authorizer; it alone reads password hashes."""
