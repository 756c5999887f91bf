"""HTTP: how requests are read and checked, and how answers are made; no rule of the board."""
