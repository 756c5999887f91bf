"""Stand-ins for AWS on one machine: the gateway, the Lambda host, the stores, and the supervisor of all."""
