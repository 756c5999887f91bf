"""The program that decodes and encodes images: a process apart, which imports nothing of the service."""
