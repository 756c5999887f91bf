"""gunicorn's settings for the gateway: one process with threads, strict about HTTP."""

from .server import CONNECTIONS, keep_headers

wsgi_app = "microservices.local.gateway.server:create_gateway()"
workers = 1
worker_class = "gthread"
threads = CONNECTIONS
keepalive = 75
graceful_timeout = 3
limit_request_line = 8190  # CloudFront takes 8,192 bytes of URL
control_socket_disable = True  # one file under $HOME would be shared by all gateways
pre_request = keep_headers
