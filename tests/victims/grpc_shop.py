"""A gRPC server and its client in one process, over TLS: every kind of call to the shop of tests/protos.

usage: grpc_shop.py CERT KEY SET - SET is the descriptor set of the shop. In the middle of the last call, with one message each
way, it writes "waiting" and goes on when it reads a line. Then it writes one line of JSON for each call: what the client has
sent and received, how the call ended, and who the server says had called.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClassesForFiles

cert, key, files = (Path(argument).read_bytes() for argument in sys.argv[1:])
pool = DescriptorPool()
descriptors = FileDescriptorSet.FromString(files).file
for descriptor in descriptors:
    pool.Add(descriptor)
types = GetMessageClassesForFiles([descriptor.name for descriptor in descriptors], pool)
Order, Receipt = types["shop.Order"], types["shop.Receipt"]
peers = []


def receipt(order):
    """Answer one order."""
    return Receipt(text=f"{len(order.items)} items", id=order.order_number)


def buy(order, context):
    """Answer, or refuse what has no number."""
    peers.append(context.peer())
    if not order.order_number:
        context.abort(grpc.StatusCode.NOT_FOUND, "no tea: 100 % sold, größe\n")
    return receipt(order)


def fill(orders, context):
    """Answer when the last order has come."""
    peers.append(context.peer())
    return Receipt(text=" ".join(str(order.order_number) for order in orders))


def watch(order, context):
    """Answer several times."""
    peers.append(context.peer())
    for number in range(order.order_number):
        yield Receipt(id=number, previous=Receipt(text="before"))


def chat(orders, context):
    """Answer each order when it comes."""
    peers.append(context.peer())
    yield from map(receipt, orders)


def codec(cls):
    """What a handler and a call need to know of their types."""
    return {"request_deserializer": cls.FromString, "response_serializer": Receipt.SerializeToString}


HANDLERS = {
    "Buy": grpc.unary_unary_rpc_method_handler(buy, **codec(Order)),
    "Fill": grpc.stream_unary_rpc_method_handler(fill, **codec(Order)),
    "Watch": grpc.unary_stream_rpc_method_handler(watch, **codec(Order)),
    "Chat": grpc.stream_stream_rpc_method_handler(chat, **codec(Order)),
}


def order(number, *names):
    """One to send."""
    items = [{"name": name, "size": "LARGE", "price": 2.5, "picture": "/wA="} for name in names]
    return ParseDict(
        {"order_number": number, "items": items, "at": "2026-11-22T10:00:00.5Z", "offsets": [-1, 300]},
        Order(),
    )


def call(channel, kind, method, requests, received, **options):
    """Make a call; return what it was."""
    sent, status, details = [], grpc.StatusCode.OK, ""

    def sending():
        for request in requests:
            sent.append(request)
            yield request

    stub = getattr(channel, kind)(
        f"/shop.Shop/{method}",
        request_serializer=Order.SerializeToString,
        response_deserializer=Receipt.FromString,
    )
    try:
        answer = stub(sending() if kind.startswith("stream") else next(sending()), timeout=60, **options)
        for message in answer if kind.endswith("stream") else [answer]:
            received.put(message)
    except grpc.RpcError as error:
        status, details = error.code(), error.details()
    line = {"method": method, "peer": peers[-1], "status": status.value[0], "details": details}
    return {**line, "sent": plain(sent), "received": plain(list(received.queue))}


def plain(messages):
    """As JSON, in protobuf's own words."""
    return [MessageToDict(message, preserving_proto_field_name=True) for message in messages]


def talk(received):
    """Send an order, and the next when that is answered and the test has looked."""
    yield order(1, "one")
    with received.not_empty:
        received.not_empty.wait_for(lambda: received.queue)
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    sys.stdin.readline()
    yield order(2, "one", "two")


server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Shop", HANDLERS)])
port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, cert)]))
server.start()
options = [("grpc.ssl_target_name_override", "localhost")]
with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(cert), options) as channel:
    answers = Queue()
    calls = [
        call(
            channel,
            "unary_unary",
            "Buy",
            iter([order(42, *["tea"] * 99)]),
            Queue(),
            compression=grpc.Compression.Gzip,
        ),
        call(channel, "unary_unary", "Buy", iter([order(0)]), Queue()),
        call(channel, "stream_unary", "Fill", map(order, range(1, 4)), Queue()),
        call(channel, "unary_stream", "Watch", iter([order(5)]), Queue()),
        call(channel, "stream_stream", "Chat", talk(answers), answers),
    ]
server.stop(None).wait()
sys.stdout.write("".join(f"{json.dumps(each)}\n" for each in calls))
