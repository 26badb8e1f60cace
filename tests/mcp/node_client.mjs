// An agent of another make: the official MCP client for Node, from proposal to reported outcome.
// node node_client.mjs FOLDER_WITH_NODE_MODULES URL TOKEN TOOL ARGUMENTS
import { createRequire } from "node:module";
import path from "node:path";

const [folder, url, token, tool, given] = process.argv.slice(2);
const require = createRequire(path.join(folder, "from-here.js"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const client = new Client({ name: "node-agent", version: "1" });
const headers = { Authorization: `Bearer ${token}` };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const call = (name, args) => client.callTool({ name, arguments: args });
const say = (what) => console.log(JSON.stringify(what));

const { tools } = await client.listTools();
say({ tools: tools.map((one) => one.name) });
const proposed = await call(tool, { arguments: JSON.parse(given) });
const proposal_id = proposed.structuredContent.id;
say({ proposed: proposed.structuredContent.status });
let decided;
do {
  decided = await call("wait_for_decision", { proposal_id });
} while (decided.structuredContent.status === "pending");
const { digest } = decided.structuredContent;
await call("redeem_grant", { proposal_id, digest });
const reported = await call("report_outcome", { proposal_id, status: "succeeded", result: { by: "node" } });
say({ status: reported.structuredContent.status, arguments: reported.structuredContent.arguments });
await client.close();
