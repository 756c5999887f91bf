"""gunicorn's settings for the containers; the command names the application."""

from typing import Any

from gunicorn.glogging import Logger

from shared import settings
from shared.container_log import JsonLines


class JsonLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own log in lines of JSON; requests are the service's to log."""

    def setup(self, cfg: Any) -> None:
        """Give each handler the format."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines("gunicorn"))


logger_class = JsonLog
workers = settings.number("WEB_CONCURRENCY", 2)
worker_class = "gthread"
threads = settings.number("WEB_THREADS", 8)
bind = settings.text("BIND", "0.0.0.0:8080")
keepalive = 75  # longer than the load balancer's 60 s: it must be the one that closes
graceful_timeout = 25  # within the 30 s that ECS gives after SIGTERM
worker_tmp_dir = "/dev/shm"  # noqa: S108 - heartbeats; the image's root is read-only
control_socket_disable = True  # its place is under $HOME, which is read-only
limit_request_line = 0  # the load balancer refuses more than 16 KiB
limit_request_field_size = 65_536
limit_request_fields = 1_000  # the gateway's limit is the size of all
forwarded_allow_ips = ""  # no peer's header rewrites SCRIPT_NAME, PATH_INFO or the scheme
