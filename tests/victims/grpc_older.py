"""A gRPC server and its client in one process, over TLS: grpc_older.py CERT KEY. The answer is the request.

It makes one call and writes "waiting"; when it reads a line it makes more of them on the same connection.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc


class Echo(grpc.GenericRpcHandler):
    """Answers every call."""

    def service(self, handler_call_details):
        """Answer whatever is called."""
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


cert, key = (Path(argument).read_bytes() for argument in sys.argv[1:])
server = grpc.server(ThreadPoolExecutor(2), handlers=[Echo()])
port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, cert)]))
server.start()
options = [("grpc.ssl_target_name_override", "localhost")]
with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(cert), options) as channel:
    same, other = (channel.unary_unary(f"/shop.Shop/{method}") for method in ("Buy", "Other"))
    same(b"\x08\x01", timeout=60)
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for number in (2, 3):
        same(bytes([0x08, number]), timeout=60)
    other(b"\x08\x04", timeout=60)
server.stop(None).wait()
