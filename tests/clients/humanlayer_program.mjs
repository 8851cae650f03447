// A program as people have them who once relied on HumanLayer's cloud, in TypeScript's SDK. Run in a folder that has it.
// `node humanlayer_program.mjs STEP...`; says one JSON line for each step: what came back, and what really ran.
import { HumanLayer } from "@humanlayer/sdk";

const ran = [];
const hl = new HumanLayer({ runId: "run-ts", apiKey: process.env.HUMANLAYER_API_KEY, apiBaseUrl: process.env.HUMANLAYER_API_BASE });
const refund = hl.requireApproval()(async function refund({ order, cents }) {
  ran.push([order, cents]);
  return `refunded ${order} ${cents}`;
});
const steps = {
  approve: () => refund({ order: "A-1", cents: 1250 }),
  edit: () => refund({ order: "A-2", cents: 1250 }),
  as_wanted: () => refund({ order: "A-2", cents: 900 }),
  contact: () => hl.humanAsTool()({ message: "Which region?" }),
};

for (const step of process.argv.slice(2)) {
  const said = await steps[step]().catch((error) => `RAISED ${error.message}`);
  console.log(JSON.stringify({ step, said, ran: ran.splice(0) }));
}
