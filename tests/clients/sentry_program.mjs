// The same for Node: SENTRY_DSN says where. Prints what each step reported, as JSON, a line each.
import * as Sentry from "@sentry/node";

Sentry.init({
  dsn: process.env.SENTRY_DSN, release: "shop@2.0.0", environment: "prod", serverName: "host-2", sendDefaultPii: true,
  tracesSampleRate: 1, includeLocalVariables: true,
});

function charge(order) {
  const privateNote = "words nobody else should read";
  throw new TypeError(`no card on file for ${order}, said ${privateNote.length}`);
}

const steps = {
  exception() {
    Sentry.addBreadcrumb({ category: "http", message: "calling gateway" });
    try {
      charge("A-1");
    } catch (cause) {
      return Sentry.captureException(new Error("checkout failed", { cause }));
    }
  },
  message: () => Sentry.captureMessage("manual message", "info"),
  huge: () => Sentry.captureMessage("a huge one", { extra: { dump: "x ".repeat(200_000) }, level: "warning" }),
};

for (const step of process.argv.slice(2)) {
  console.log(JSON.stringify({ step, id: steps[step]() }));
}
const sent = await Sentry.flush(20_000);
console.log(JSON.stringify({ step: "flush", id: sent }));
