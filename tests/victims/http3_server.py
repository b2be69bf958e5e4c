"""An HTTP/3 server by aioquic, whose TLS is Python of its own: `http3_server.py HOST PORT CERT KEY`. Answers with the path."""

from __future__ import annotations

import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated


class Answers(QuicConnectionProtocol):
    """One connection."""

    http: H3Connection | None = None

    def quic_event_received(self, event):
        """Answer each request as soon as its header is there."""
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        if self.http is None:
            return
        for part in self.http.handle_event(event):
            if isinstance(part, HeadersReceived):
                path = dict(part.headers)[b":path"]
                self.http.send_headers(part.stream_id, [(b":status", b"200"), (b"x-path", path)])
                self.http.send_data(part.stream_id, path, end_stream=True)
        self.transmit()


async def main(host: str, port: str, cert: str, key: str) -> None:
    """Serve until somebody ends it."""
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(cert, key)
    await serve(host, int(port), configuration=configuration, create_protocol=Answers)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
