// A hundred connections at once by Node: hundred.js HOST PORT, one GET each, to /0 ... /99.
"use strict";
const { request } = require("https");

const [host, port] = process.argv.slice(2);
for (let number = 0; number < 100; number++) {
	const options = { host, port, path: `/${number}`, agent: false, rejectUnauthorized: false };
	request(options, (response) => response.resume()).end();
}
