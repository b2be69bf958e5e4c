// WebSockets on streams of one HTTP/2 connection (RFC 8441), both ends in one program, frames by ws:
// websocket_http2.js WS PORT CERT KEY, WS being the folder of that package. Each stream compresses or does not. The client
// prints one JSON line for each message: the stream, the hash of what was sent, and the answer, which is that hash.
"use strict";
const { createHash } = require("crypto");
const { readFileSync } = require("fs");
const { connect, createSecureServer } = require("http2");

const [ws, port, certFile, keyFile] = process.argv.slice(2);
const { Receiver, Sender } = require(ws);
const PerMessageDeflate = require(`${ws}/lib/permessage-deflate`);
const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
const NAME = "permessage-deflate";

const hash = (data) => createHash("sha256").update(data).digest("hex");

// What reads a stream's messages, and a function that sends one.
function speak(stream, isServer, deflate) {
	const extensions = {};
	if (deflate) {
		extensions[NAME] = new PerMessageDeflate({ threshold: 0 }, isServer);
		extensions[NAME].accept([{}]);
	}
	const receiver = stream.pipe(new Receiver({ extensions, isServer }));
	const sender = new Sender(stream, extensions);
	const send = (data, binary) => sender.send(data, { binary, compress: deflate, fin: true, mask: !isServer });
	return { receiver, send, close: () => sender.close(1000, "", !isServer, () => stream.end()) };
}

const server = createSecureServer({ cert, key, settings: { enableConnectProtocol: true } });
server.on("stream", (stream, headers) => {
	const deflate = headers["sec-websocket-extensions"] === NAME;
	stream.respond({ ":status": 200, ...(deflate && { "sec-websocket-extensions": NAME }) });
	const { receiver, send, close } = speak(stream, true, deflate);
	receiver.on("message", (data) => send(hash(data), false));
	receiver.on("conclude", close);
});

function converse(session, deflate) {
	const fields = { ":method": "CONNECT", ":protocol": "websocket", ":path": `/${deflate}` };
	const stream = session.request({ ...fields, ...(deflate && { "sec-websocket-extensions": NAME }) }, { endStream: false });
	return new Promise((done) => {
		stream.on("response", () => {
			const { receiver, send, close } = speak(stream, false, deflate);
			const messages = ["some text", Buffer.alloc(300000, "binary data "), "some text", ""];
			const next = () => (messages.length ? send(messages[0], typeof messages[0] !== "string") : close());
			receiver.on("message", (data) => {
				console.log(JSON.stringify({ stream: stream.id, sent: hash(messages.shift()), answer: data.toString() }));
				next();
			});
			stream.on("close", done);
			next();
		});
	});
}

server.listen(Number(port), "127.0.0.1", () => {
	const session = connect(`https://127.0.0.1:${port}`, { ca: cert });
	session.on("remoteSettings", async () => {
		await Promise.all([converse(session, true), converse(session, false)]);
		session.close();
		server.close();
	});
});
