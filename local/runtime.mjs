// The Lambda runtime for Node.js: what one worker process runs. The counterpart of runtime.py, with
// the same protocol: JSON lines over the socket whose number is argv[2].
//
//     {"path": [task root], "handler": "index.handler"} -> {"ok": true} or {"error": {..}}
//     {"event": .., "request_id": .., "arn": .., ..}    -> {"result": ..} or {"error": {..}}
//
// Modules are found and errors are reported as AWS's own runtime interface client does it. Callbacks
// work below Node.js 24, as on AWS; response streaming (`awslambda`) is not there.

import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import util from "node:util";

const END = "\x00end\x00\n";
const env = process.env;
const CALLBACKS = Number(/nodejs(\d+)/.exec(env.AWS_EXECUTION_ENV)?.[1] ?? 0) < 24;
const NO_CALLBACKS =
  "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24." +
  " You need to modify this function to use a supported handler signature to use Node.js 24 or later." +
  " For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.";
const NEVER_SETTLED =
  "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by" +
  " a Promise that was never settled.";

const channel = new net.Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
let requestId = "";

function log(level, ...values) {
  const line = `${new Date().toISOString()}\t${requestId}\t${level}\t${util.format(...values)}`;
  process.stdout.write(line.replaceAll("\n", "\r") + "\n");
}

for (const [name, level] of Object.entries({
  log: "INFO", info: "INFO", debug: "DEBUG", trace: "TRACE", warn: "WARN", error: "ERROR",
})) {
  console[name] = (...values) => log(level, ...values);
}

function named(name, message) {
  return Object.assign(new Error(message), { name: `Runtime.${name}` });
}

function failure(error, when = "Invoke Error") {
  const known = util.types.isNativeError(error) || (error?.name && error?.stack);
  const document = known
    ? { errorType: error.name, errorMessage: error.message, trace: error.stack.split("\n") }
    : { errorType: typeof error, errorMessage: String(error), trace: [] };
  log("ERROR", `${when} \t${JSON.stringify(document)}`);
  return { error: document };
}

// --- The handler -----------------------------------------------------------------------------

function isModule(folder) {
  const description = path.join(folder, "package.json");
  if (folder.endsWith("/node_modules")) return false;
  if (fs.existsSync(description)) {
    return JSON.parse(fs.readFileSync(description, "utf8")).type === "module";
  }
  return path.dirname(folder) !== folder && isModule(path.dirname(folder));
}

async function load(root, file) {
  const require = createRequire(path.join(root, "/"));
  const base = path.resolve(root, file);
  if (fs.existsSync(base) && fs.statSync(base).isFile()) return require(base);
  if (fs.existsSync(base + ".js") && !isModule(path.dirname(base))) return require(base + ".js");
  for (const name of [base + ".js", base + ".mjs"]) {
    if (fs.existsSync(name)) return import(pathToFileURL(name));
  }
  if (fs.existsSync(base + ".cjs")) return require(base + ".cjs");
  return require(require.resolve(file, { paths: [root] }));
}

async function find(root, handler) {
  const [, folder, file, members] = /^(.*\/)?([^./]*)\.(.+)$/.exec(handler) ?? [];
  if (!file || handler.includes("..")) throw named("MalformedHandlerName", "Bad handler");
  let found;
  try {
    found = await load(root, (folder ?? "") + file);
  } catch (error) {
    if (error instanceof SyntaxError) throw named("UserCodeSyntaxError", `SyntaxError: ${error.message}`);
    if (error.code !== "MODULE_NOT_FOUND" && error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw named("ImportModuleError", `Error: ${error.message}`);
  }
  for (const member of members.split(".")) found = found?.[member];
  if (!found) throw named("HandlerNotFound", `${handler} is undefined or not exported`);
  if (typeof found !== "function") throw named("HandlerNotFound", `${handler} is not a function`);
  if (!CALLBACKS && found.length >= 3) throw named("CallbackHandlerDeprecated", NO_CALLBACKS);
  return found;
}

// --- An invocation ---------------------------------------------------------------------------

// The reply's text: the value is made JSON of only once.
function success(value) {
  try {
    return `{"result":${JSON.stringify(value) ?? "null"}}`;
  } catch (error) {
    return failure(named("MarshalError", `Unable to stringify response body: ${error.message}`));
  }
}

function contextOf(call, done) {
  const deadline = Date.now() + call.timeout * 1000;
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: undefined,
    identity: undefined,
    invokedFunctionArn: call.arn,
    awsRequestId: call.request_id,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  if (!CALLBACKS) return context;
  const succeed = (value) => done(null, value, true);
  const fail = (error) => done(error ?? new Error("handled"), null, true);
  const either = (error, value) => done(error, value, true);
  return Object.assign(context, { succeed, fail, done: either });
}

function invoke(handler, call) {
  return new Promise((resolve) => {
    // What to answer once nothing is left to do: a callback waits for this moment by default.
    let idle = () =>
      CALLBACKS ? success(null) : failure(named("NodeJsExit", NEVER_SETTLED));
    const finish = (reply) => {
      process.off("beforeExit", whenIdle);
      channel.ref();
      resolve(reply);
    };
    const whenIdle = () => finish(idle());
    const done = (error, value, atOnce = false) => {
      if (error !== null && error !== undefined) return finish(failure(error));
      idle = () => success(value);
      if (atOnce || !context.callbackWaitsForEmptyEventLoop) finish(idle());
    };
    const context = contextOf(call, done);
    process.on("beforeExit", whenIdle);
    channel.unref(); // so that the process notices when the handler has nothing left to do
    try {
      const callback = CALLBACKS ? [(error, value) => done(error, value)] : [];
      const returned = handler(call.event, context, ...callback);
      if (typeof returned?.then === "function") {
        returned.then((value) => finish(success(value)), (error) => finish(failure(error)));
      } else if (!CALLBACKS) {
        finish(success(returned));
      }
    } catch (error) {
      finish(failure(error));
    }
  });
}

// --- The conversation ------------------------------------------------------------------------

function answer(reply) {
  fs.writeSync(2, END);
  channel.write((typeof reply === "string" ? reply : JSON.stringify(reply)) + "\n");
}

function giveUp(error) {
  answer({ ...failure(error, "Uncaught Exception"), ends: true });
}

async function* messages() {
  let rest = "";
  for await (const text of channel.setEncoding("utf8")) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function main() {
  process.on("uncaughtException", giveUp);
  process.on("unhandledRejection", (reason) => {
    const told = util.types.isNativeError(reason) ? String(reason) : util.inspect(reason);
    giveUp(named("UnhandledPromiseRejection", told));
  });
  channel.on("close", () => process.exit(0)); // the emulator is gone, or wants no more of this process
  let handler;
  for await (const message of messages()) {
    if (handler) {
      requestId = message.request_id;
      if (message.trace_id) env._X_AMZN_TRACE_ID = message.trace_id;
      answer(await invoke(handler, message));
      continue;
    }
    try {
      handler = await find(message.path[0], message.handler);
      answer({ ok: true });
    } catch (error) {
      answer(failure(error, "Uncaught Exception"));
    }
  }
}

main();
