// Bun as TLS server and client in one process: the answer is the request, backwards.
// usage: bun_echo.js CERT KEY FILE - writes the SHA-256 of what the server received and of what the client did.
import { createHash } from "node:crypto";

const [cert, key, file] = process.argv.slice(2);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
let received;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert: Bun.file(cert), key: Bun.file(key) },
  async fetch(request) {
    const body = new Uint8Array(await request.arrayBuffer());
    received = sha256(body);
    return new Response(body.reverse());
  },
});
const answer = await fetch(`https://127.0.0.1:${server.port}/echo`, {
  method: "POST",
  body: await Bun.file(file).bytes(),
  tls: { rejectUnauthorized: false },
});
const answered = sha256(await answer.bytes());
console.log(`${received}\n${answered}`);
server.stop(true);
