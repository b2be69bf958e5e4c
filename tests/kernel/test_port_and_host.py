"""`--port` and `--host`: decided in the kernel where the addresses are known, else held back and then decided."""

from __future__ import annotations

import json
import socket
import sys

import pytest

from tests.kernel.running import free_port, http, wait_for_port
from tests.kernel.servers import Nginx
from tests.kernel.streams import streams
from tests.kernel.victims import SOURCES
from tests.shell import pellucid

ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.3")
"""Of one end of each connection; the other end of one over IPv4 is 127.0.0.1."""
LOCALHOST = {address[0] for *_, address in socket.getaddrinfo("localhost", None)}

TALK = f"""
pairs = [connected(address) for address in {ADDRESSES}]
pause(" ".join(str(sock.getsockname()[1]) for sock, _ in pairs))
for handle, (sock, peer) in enumerate(pairs, start=1):
    write(handle, b"x%d" % handle, inside=lambda: sock.send(b"x"))
    peer.send(b"y")
    read(handle, b"y%d" % handle, inside=lambda: sock.recv(1))
    free(handle)
"""


def texts(messages):
    """What was shown; the summary must know of no other bytes, and of no loss."""
    data = [message for message in messages if message["type"] == "data"]
    assert messages[-1]["bytes"] == sum(message["size"] for message in data)
    assert (messages[-1]["lost"], messages[-1]["undecided"]) == ({}, 0)
    opened = {message["conn"] for message in messages if message["type"] == "connection"}
    assert opened == {message["conn"] for message in data}
    return [message["data"] for message in data]


def talked(*handles):
    return [text for handle in handles for text in (f"x{handle}", f"y{handle}")]


@pytest.mark.parametrize(
    ("hosts", "handles"),
    [
        (["127.0.0.1"], [1, 2, 4]),
        (["127.0.0.3", "::1"], [3, 4]),
        (["::ffff:127.0.0.2"], [2]),
        (["127.0.0.0/30"], [1, 2, 4]),
        (["::/0"], [3]),
        (["localhost"], [handle for handle in (1, 2, 3, 4) if handle != 3 or "::1" in LOCALHOST]),
    ],
    ids=str,
)
def test_host(hosts, handles, puppet, watch):
    """Connections that are older than the capture are known by either end's address, whatever way it is given."""
    program = puppet(TALK)
    program.step()
    run = watch(*(word for host in hosts for word in ("--host", host)))
    program.end()

    assert texts(run.stop()) == talked(*handles)


def test_port(puppet, watch):
    """Several ports mean connections with any of them; with a host, an end must have that too."""
    program = puppet(TALK)
    ports = program.step().split()
    by_ports = watch("--port", ports[0], "--port", ports[2])
    by_both = watch("--port", ports[0], "--port", ports[2], "--host", "::1")
    program.end()

    assert texts(by_ports.stop()) == talked(1, 3)
    assert texts(by_both.stop()) == talked(3)


LATE = """
pairs = [connected("127.0.0.1") for _ in range(2)]
pause(pairs[0][0].getsockname()[1])
for handle, (sock, _) in enumerate(pairs, start=1):
    new(handle)
    write(handle, b"before %d" % handle)
    write(handle, b"known %d" % handle, inside=lambda: sock.send(b"x"))
    write(handle, b"after %d" % handle, inside=lambda: sock.send(b"x"))
    pause()
    free(handle)
write(3, b"nobody ever knows")
"""


def test_addresses_that_become_known(puppet, watch):
    """What a connection moved before its address was known is shown if it is wanted, else it never was; what stays
    unknown is counted as undecided.
    """
    program = puppet(LATE)
    run = watch("--port", program.step())
    program.step()
    program.step()
    program.end()
    messages = run.stop()

    data = [(message["offset"], message["data"]) for message in messages if message["type"] == "data"]
    assert data == [(0, "before 1"), (8, "known 1"), (15, "after 1")]
    summary = messages[-1]
    assert (summary["lost"], summary["undecided"]) == ({"undecided": len("nobody ever knows")}, 1)
    assert summary["bytes"] == len("before 1known 1after 1nobody ever knows")


def test_an_object_that_goes_from_unwanted_to_wanted(puppet, watch):
    """SSL_clear after a connection that was not wanted begins another one, which is decided by itself."""
    program = puppet("""
unwanted, wanted = connected("127.0.0.1"), connected("127.0.0.1")
pause(wanted[0].getsockname()[1])
new(1)
for pair in unwanted, wanted:
    write(1, b"by %s" % (b"wanted" if pair is wanted else b"unwanted"), inside=lambda: pair[0].send(b"x"))
    clear(1)
""")
    run = watch("--port", program.step())
    program.end()

    assert texts(run.stop()) == ["by wanted"]


MEMORY = """
import ssl, sys
def end(context, **names):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, **names), incoming, outgoing
server_context, client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
server_context.load_cert_chain(sys.argv[1], sys.argv[2])
client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
client, client_in, client_out = end(client_context)
server, server_in, server_out = end(server_context, server_side=True)
def step(call):
    try:
        return call()
    except ssl.SSLWantReadError:
        return None
    finally:
        server_in.write(client_out.read())
        client_in.write(server_out.read())
for _ in range(3):
    step(client.do_handshake), step(server.do_handshake)
step(lambda: client.write(b"a" * 1000))
assert step(lambda: server.read(2000)) == b"a" * 1000
"""


@pytest.mark.parametrize("flags", [(), ("--port", "443")], ids=["all", "port"])
def test_connections_without_a_socket(flags, tls, programs, capture):
    """TLS by memory BIOs that no socket ever sees is shown, and by a port undecided at both of its ends."""
    run = capture(*flags)
    programs.run(sys.executable, "-c", MEMORY, tls.cert, tls.key)
    messages = run.stop()

    summary = messages[-1]
    assert summary["bytes"] == 2000
    if flags:
        assert (summary["lost"], summary["undecided"]) == ({"undecided": 2000}, 2)
        assert messages == [summary]
    else:
        assert (summary["lost"], summary.get("undecided")) == ({}, None)
        assert sorted(stream.read + stream.written for stream in streams(messages)) == [b"a" * 1000] * 2


def test_asyncio(tls, programs, capture):
    """TLS by memory BIOs that does reach a socket is decided: all of it is shown by its port, none by another."""
    port = free_port()
    script, words = SOURCES / "https_server.py", (str(port), tls.cert)
    programs.start(sys.executable, script, "asyncio", *words, tls.key)
    wait_for_port(port)
    wanted, other = capture("--port", str(port)), capture("--port", str(free_port()))
    programs.run(sys.executable, SOURCES / "https_client.py", "asyncio", *words)
    messages, (nothing,) = wanted.stop(), other.stop()

    assert len(http(messages, "client")) == len(http(messages, "server")) == 3
    assert (messages[-1]["lost"], messages[-1]["undecided"]) == ({}, 0)
    assert (nothing["bytes"], nothing["lost"], nothing["undecided"]) == (0, {}, 0)


def test_nginx_and_replay(tls, programs, capture, tmp_path):
    """Of two servers one port shows one, at both ends; of a recording of both, each port shows its own half."""
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    servers = [Nginx(programs, tls, folder) for folder in folders]
    recording = tmp_path / "recording"
    everything = capture("--record", str(recording), "-o", f"json:{tmp_path}/all")
    selected = capture("--port", str(servers[0].port))
    for server in servers * 3:
        programs.run("curl", "-sk", f"{server.url}/{server.port}")
    live = selected.stop()
    everything.stop()

    assert len(http(live, "client")) == len(http(live, "server")) == 3
    assert (live[-1]["lost"], live[-1]["undecided"]) == ({}, 0)
    seen = json.loads((tmp_path / "all").read_text().splitlines()[-1])["bytes"]
    for server in servers:
        answer = pellucid("replay", recording, "--port", str(server.port), "-o", "json:-")
        messages = [json.loads(line) for line in answer.stdout.splitlines()]
        assert [one["request"]["url"] for one in http(messages)] == [f"/{server.port}"] * 6
        assert {one["dst"] for one in http(messages)} == {f"127.0.0.1:{server.port}"}
        assert (messages[-1]["lost"], messages[-1]["undecided"]) == ({}, 0)
        seen -= messages[-1]["bytes"]
    assert seen == 0
