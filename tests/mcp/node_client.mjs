// The official MCP client for Node, told by lines of JSON on stdin what to ask, answering by lines on stdout.
// node node_client.mjs FOLDER_WITH_NODE_MODULES {"url": …, "headers": …} or {"command": …, "args": …, "env": …}
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const [folder, where] = process.argv.slice(2);
const require = createRequire(path.join(folder, "from-here.js"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const { url, headers, ...command } = JSON.parse(where);
const transport = url
  ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  : new StdioClientTransport(command);
const client = new Client({ name: "node-agent", version: "1" });
await client.connect(transport);
const patience = { timeout: 100_000, resetTimeoutOnProgress: true, onprogress: () => {} };

for await (const line of createInterface({ input: process.stdin })) {
  const { list, call } = JSON.parse(line);
  const answer = list ? await client.listTools() : await client.callTool(call, undefined, patience);
  console.log(JSON.stringify(answer));
}
await client.close();
