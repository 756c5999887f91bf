"""API Gateway's part on one machine, with CloudFront's path rule before it: it serves what openapi.yaml says."""
