// HTTPS clients by Node: https_client.js URL CERT. Posts three bodies to URL on one connection, prints the answers.
"use strict";
const { readFileSync } = require("fs");
const { Agent, request } = require("https");

const [url, cert] = process.argv.slice(2);
const agent = new Agent({ ca: readFileSync(cert), keepAlive: true, maxSockets: 1 });
const bodies = ["short", Buffer.from([0, 128, 255]), "a body longer than one TLS record\n".repeat(503)];

function post(number) {
	if (number === bodies.length) {
		agent.destroy();
		return;
	}
	const sent = request(`${url}/${number}`, { agent, method: "POST" }, (response) => {
		let answer = "";
		response.on("data", (piece) => (answer += piece));
		response.on("end", () => {
			console.log(answer);
			post(number + 1);
		});
	});
	sent.end(bodies[number]);
}

post(0);
