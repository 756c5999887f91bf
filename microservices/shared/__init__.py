"""What every service may use; it imports no service, and is copied into each zip and image."""
