// An HTTP/2 client by Node: http2_client.js URL CERT. Each line of its input is a round: `N PATH` makes N requests at once, to PATH/1 to
// PATH/N on one connection; it prints a line with the SHA-256 of each answer's body, then an empty line.
"use strict";
const { createHash } = require("crypto");
const { readFileSync } = require("fs");
const { connect } = require("http2");
const { createInterface } = require("readline");

const [url, cert] = process.argv.slice(2);
const session = connect(url, { ca: readFileSync(cert) });

function ask(path) {
	return new Promise((resolve) => {
		const hash = createHash("sha256");
		const stream = session.request({ ":path": path, "x-asked": path, cookie: "always=the-same" });
		stream.on("data", (piece) => hash.update(piece));
		stream.on("end", () => resolve(`${path} ${hash.digest("hex")}`));
		stream.end();
	});
}

(async () => {
	for await (const line of createInterface({ input: process.stdin })) {
		const [number, path] = line.split(" ");
		const paths = Array.from({ length: Number(number) }, (_, index) => `${path}/${index + 1}`);
		const answers = await Promise.all(paths.map(ask));
		console.log(answers.join("\n") + "\n");
	}
	session.close();
})();
