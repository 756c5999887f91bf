"""Common ground of the services; it imports none of them, and is copied into each zip and image."""
