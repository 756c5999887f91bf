"""The OpenAPI document, from the routes and the models of requests and answers."""
