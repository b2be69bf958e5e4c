"""A gRPC-Web server (sonora, on HTTP/1) and its client in one process, over TLS.

usage: grpc_web.py CERT KEY - makes a unary call, one with a stream of answers, one that fails, and one as
application/grpc-web-text; the messages are bytes of its own. CERT must be trusted by SSL_CERT_FILE.
"""

import base64
import http.client
import ssl
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import grpc
from sonora.client import insecure_web_channel
from sonora.wsgi import grpcWSGI

GREETING = b"\x0a\x05hello"
COUNT = b"\x08\x03"
TEXT = "application/grpc-web-text"


def repeat(request, context):
    """Answer several times."""
    for _ in range(request[1]):
        yield GREETING


def fail(request, context):
    """Refuse."""
    context.abort(grpc.StatusCode.NOT_FOUND, "no tea")


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *args):
        """Nothing."""


application = grpcWSGI()
PLAIN = (bytes, bytes)  # messages are bytes already: no codec
handlers = {
    "Say": grpc.unary_unary_rpc_method_handler(lambda request, context: request, *PLAIN),
    "Repeat": grpc.unary_stream_rpc_method_handler(repeat, *PLAIN),
    "Fail": grpc.unary_unary_rpc_method_handler(fail, *PLAIN),
}
application.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("web.Web", handlers)])
server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

with insecure_web_channel(f"https://localhost:{server.server_port}") as channel:
    assert channel.unary_unary("/web.Web/Say", *PLAIN)(GREETING, timeout=20) == GREETING
    assert list(channel.unary_stream("/web.Web/Repeat", *PLAIN)(COUNT, timeout=20)) == [GREETING] * 3
    refused = None
    try:
        channel.unary_unary("/web.Web/Fail", *PLAIN)(GREETING, timeout=20)
    except grpc.RpcError as error:
        refused = error.code()
    assert refused is grpc.StatusCode.NOT_FOUND

connection = http.client.HTTPSConnection(
    "localhost", server.server_port, context=ssl.create_default_context()
)
body = base64.b64encode(b"\0" + len(COUNT).to_bytes(4, "big") + COUNT)
connection.request("POST", "/web.Web/Repeat", body, {"Content-Type": TEXT, "Accept": TEXT})
assert base64.b64decode(connection.getresponse().read()[:16]).startswith(b"\0\0\0\0\x07\x0a\x05")
