// The same agent on the published MCP SDK for TypeScript: node mcp_agent.mjs FOLDER-WITH-NODE_MODULES URL KEY
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [folder, url, key] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
const client = new Client({ name: "node-agent", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
console.log(JSON.stringify({ version: transport.protocolVersion, tools: tools.map((tool) => tool.name) }));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, given] = JSON.parse(line);
  const said = await client.callTool({ name, arguments: given });
  console.log(JSON.stringify({ texts: said.content.map((one) => one.text), failed: said.isError, structured: said.structuredContent ?? null }));
}
await client.close();
