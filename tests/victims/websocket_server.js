// A WebSocket server by Node and ws: websocket_server.js WS PORT CERT KEY DEFLATE, WS being the folder of that package.
// DEFLATE is none; context, where compressed messages refer to earlier ones; or fresh, where they do not.
// It answers each message with the hash of what it received, and a close in kind.
"use strict";
const { createHash } = require("crypto");
const { readFileSync } = require("fs");
const { createServer } = require("https");

const [ws, port, cert, key, deflate] = process.argv.slice(2);
const { WebSocketServer } = require(ws);
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
const fresh = deflate === "fresh";
const perMessageDeflate = deflate !== "none" && {
	threshold: 0,
	serverNoContextTakeover: fresh,
	clientNoContextTakeover: fresh,
};
new WebSocketServer({ server, perMessageDeflate }).on("connection", (socket) => {
	socket.on("message", (data) => socket.send(createHash("sha256").update(data).digest("hex")));
});
server.listen(Number(port), "127.0.0.1");
