"""The products service: what is sold, its stock, and reservations of it for orders."""
