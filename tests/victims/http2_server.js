// An HTTP/2 server by Node: http2_server.js PORT CERT KEY. It answers a body with its SHA-256, in a header field and, after the body, in a
// trailer; /style is pushed to whoever asks for /page; /reset is reset in the middle of the answer.
"use strict";
const { createHash } = require("crypto");
const { readFileSync } = require("fs");
const { createSecureServer } = require("http2");

const [port, cert, key] = process.argv.slice(2);
const server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });

function answer(stream, body) {
	const digest = createHash("sha256").update(body).digest("hex");
	stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": digest }));
	stream.respond({ ":status": 200, "x-digest": digest }, { waitForTrailers: true });
	stream.end(body);
}

server.on("stream", (stream, headers) => {
	const pieces = [];
	stream.on("error", () => {});
	stream.on("data", (piece) => pieces.push(piece));
	stream.on("end", () => {
		if (headers[":path"] === "/reset") {
			stream.respond({ ":status": 200 });
			stream.write("half of it", () => stream.destroy(new Error("enough")));
			return;
		}
		if (headers[":path"] === "/page" && stream.pushAllowed) {
			stream.pushStream({ ":path": "/style" }, (error, pushed) => answer(pushed, "the style"));
		}
		answer(stream, Buffer.concat(pieces));
	});
});
server.listen(Number(port), "127.0.0.1");
