// The same agent on the published MCP SDK for TypeScript: node mcp_agent.mjs FOLDER-WITH-NODE_MODULES URL KEY
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [folder, url, key] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

async function connected(work) {
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
  const client = new Client({ name: "node-agent", version: "1" });
  await client.connect(transport);
  try {
    return await work(client, transport);
  } finally {
    await client.close();
  }
}

async function call(name, given, tries = 100) {
  try {
    const said = await connected((client) => client.callTool({ name, arguments: given }));
    return { texts: said.content.map((one) => one.text), failed: said.isError, structured: said.structuredContent ?? null };
  } catch (error) { // lost on the way: the host's model tries once more
    if (tries === 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return call(name, given, tries - 1);
  }
}

const say = (value) => console.log(JSON.stringify(value));
say(await connected(async (client, transport) => ({
  version: transport.protocolVersion, tools: (await client.listTools()).tools.map((tool) => tool.name),
})));
for await (const line of createInterface({ input: process.stdin })) say(await call(...JSON.parse(line)));
