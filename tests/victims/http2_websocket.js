// WebSockets over HTTP/2 (RFC 8441) by Node: http2_websocket.js CERT KEY. A server and its client in one process; on each of two streams the
// client sends three texts, which the server sends back. Prints them as the server has read them, and then both ends close.
"use strict";
const { randomBytes } = require("crypto");
const { readFileSync } = require("fs");
const { connect, createSecureServer } = require("http2");

const [cert, key] = process.argv.slice(2).map((path) => readFileSync(path));
const TEXT = 1;
const CLOSE = 8;

function frame(opcode, payload, mask) {
	const head = [0x80 | opcode, (mask ? 0x80 : 0) | payload.length];
	const body = Buffer.from(payload);
	if (mask) body.forEach((byte, at) => (body[at] = byte ^ mask[at % 4]));
	return Buffer.concat([Buffer.from(head), mask ?? Buffer.alloc(0), body]);
}

// Calls `got(opcode, payload)` for each frame; all of them are short.
function frames(stream, got) {
	let held = Buffer.alloc(0);
	stream.on("data", (piece) => {
		held = Buffer.concat([held, piece]);
		for (;;) {
			const masked = held.length > 1 && held[1] & 0x80;
			const start = masked ? 6 : 2;
			if (held.length < start || held.length < start + (held[1] & 0x7f)) return;
			const payload = Buffer.from(held.subarray(start, start + (held[1] & 0x7f)));
			if (masked) payload.forEach((byte, at) => (payload[at] = byte ^ held[2 + (at % 4)]));
			const opcode = held[0] & 15;
			held = held.subarray(start + payload.length);
			got(opcode, payload);
		}
	});
}

const server = createSecureServer({ cert, key, settings: { enableConnectProtocol: true } });
server.on("stream", (stream) => {
	stream.respond({ ":status": 200 });
	frames(stream, (opcode, payload) => {
		if (opcode === TEXT) console.log(payload.toString());
		stream.write(frame(opcode, payload));
		if (opcode === CLOSE) stream.end();
	});
});

function talk(session, path) {
	return new Promise((resolve) => {
		const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": path });
		const send = (opcode, payload) => stream.write(frame(opcode, payload, randomBytes(4)));
		const texts = [1, 2, 3].map((number) => `${number} to ${path}`);
		const next = () => (texts.length ? send(TEXT, Buffer.from(texts.shift())) : send(CLOSE, Buffer.from([3, 232])));
		stream.on("response", next);
		frames(stream, (opcode) => (opcode === CLOSE ? stream.end() : next()));
		stream.on("close", resolve);
	});
}

server.listen(0, "localhost", () => {
	const session = connect(`https://localhost:${server.address().port}`, { ca: cert });
	session.once("remoteSettings", async () => {
		await Promise.all([talk(session, "/a"), talk(session, "/b")]);
		session.close();
		server.close();
	});
});
