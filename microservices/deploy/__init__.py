"""Packages for AWS: the zips of the Lambda functions."""
