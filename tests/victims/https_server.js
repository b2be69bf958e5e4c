// An HTTPS server by Node: https_server.js PORT CERT KEY. It answers with the hash of the body that it received.
"use strict";
const { createHash } = require("crypto");
const { readFileSync } = require("fs");
const { createServer } = require("https");

const [port, cert, key] = process.argv.slice(2);
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
	const hash = createHash("sha256");
	request.on("data", (piece) => hash.update(piece));
	request.on("end", () => response.end(hash.digest("hex")));
}).listen(Number(port), "127.0.0.1");
