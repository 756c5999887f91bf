"""gunicorn's settings for the gateway: two processes with threads, strict about HTTP."""

import os

from .server import CONNECTIONS, keep_headers

wsgi_app = "microservices.local.gateway.server:create_gateway()"
# Python runs one thread of a process at a time. The throttle's buckets are in a process's memory: it needs one.
workers = 1 if os.environ.get("PLATFORM_THROTTLE") == "1" else 2
preload_app = True  # the document is read once
worker_class = "gthread"
threads = CONNECTIONS
keepalive = 75
graceful_timeout = 3
# The edge refuses long ones, in the services' error shape; what is beyond these is refused in gunicorn's words.
limit_request_line = 0
limit_request_field_size = 65_536
forwarded_allow_ips = ""  # no client's header rewrites SCRIPT_NAME, PATH_INFO or the scheme
control_socket_disable = True  # one file under $HOME would be shared by all gateways
pre_request = keep_headers
