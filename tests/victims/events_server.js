// A server of events over HTTP/2, by Node: events_server.js PORT CERT KEY. Like events_server.py it sends what it reads.
"use strict";
const { readFileSync } = require("fs");
const { createSecureServer } = require("http2");
const { createInterface } = require("readline");

const [port, cert, key] = process.argv.slice(2);
createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) })
	.on("stream", (stream) => {
		stream.respond({ ":status": 200, "content-type": "text/event-stream" });
		let number = 0;
		createInterface({ input: process.stdin }).on("line", (line) => {
			if (line) stream.write(`event: line\nid: ${number++}\ndata: ${line}\n\n`);
			else stream.end();
		});
	})
	.listen(Number(port), "127.0.0.1");
