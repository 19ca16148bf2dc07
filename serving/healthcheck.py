"""Exit 0 when the server of this container is ready, for Docker's HEALTHCHECK.

Imports next to nothing: it runs every few seconds inside the server's CPU limit.
"""

import os
import socket
import sys

address = ("127.0.0.1", int(os.environ.get("MLSERVER_HTTP_PORT", "8080")))
try:
    with socket.create_connection(address, timeout=2) as connection:
        connection.sendall(b"GET /v2/health/ready HTTP/1.0\r\n\r\n")
        ready = b" 200 " in connection.recv(64)
except OSError:
    ready = False
sys.exit(0 if ready else 1)
