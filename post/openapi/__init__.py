"""The OpenAPI document: made of the routes, the checked requests and the answers."""
