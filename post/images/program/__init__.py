"""The program that decodes and encodes images: a separate process, which imports nothing of the service."""
