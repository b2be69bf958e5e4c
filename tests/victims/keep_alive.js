// Both ends of connections by Node: keep_alive.js CERT KEY KEYLOG. The server logs its secrets to KEYLOG. For each line that
// comes in, one connection of TLS 1.2 and one of 1.3 are used: opened with the first, kept for the others. Answers with `ok`.
"use strict";
const { appendFileSync, readFileSync } = require("fs");
const readline = require("readline");
const tls = require("tls");

const [cert, key, keyLog] = process.argv.slice(2);
const server = tls.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => socket.pipe(socket));
const clients = [];
let answers = 0;

function answered() {
	answers += 1;
	if (answers % clients.length === 0) console.log("ok");
}

function open(version) {
	const options = { port: server.address().port, rejectUnauthorized: false, minVersion: version, maxVersion: version };
	const client = tls.connect(options);
	client.on("data", answered);
	return client;
}

server.on("keylog", (line) => appendFileSync(keyLog, line));
server.listen(0, "127.0.0.1", () => {
	readline.createInterface({ input: process.stdin }).on("line", () => {
		if (clients.length === 0) clients.push(open("TLSv1.2"), open("TLSv1.3"));
		for (const client of clients) client.write("ping");
	}).on("close", () => process.exit());
});
