"""HTTP: the reading and checking of requests, the making of answers; no rule of the board."""
