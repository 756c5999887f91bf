"""Commands: what `flask` runs, for who has a shell."""
