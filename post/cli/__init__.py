"""Commands of `flask`, for operators."""
