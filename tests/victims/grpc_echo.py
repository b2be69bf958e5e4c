"""A gRPC server and its client in one process, over TLS: the answer is the request, backwards.

usage: grpc_echo.py CERT KEY FILE - writes the SHA-256 of what is in FILE, which the client sends, and of the answer.
"""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc


class Echo(grpc.GenericRpcHandler):
    """Answers every call."""

    def service(self, handler_call_details):
        """Answer whatever is called."""
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1])


cert, key, file = (Path(argument).read_bytes() for argument in sys.argv[1:])
server = grpc.server(ThreadPoolExecutor(2), handlers=[Echo()])
port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, cert)]))
server.start()
options = [("grpc.ssl_target_name_override", "localhost")]
with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(cert), options) as channel:
    answer = channel.unary_unary("/echo.Echo/Backwards")(file, timeout=20)
server.stop(None).wait()
for message in (file, answer):
    sys.stdout.write(f"{hashlib.sha256(message).hexdigest()}\n")
