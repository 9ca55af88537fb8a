// The first story of the API, told by the types that openapi-typescript made, with openapi-fetch.
//
//     node story.js http://127.0.0.1:8000
//
// `tsc --strict` checks that what the API requires can be sent, and that what is optional can be
// left out. The types are the only knowledge of the API here.

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Environment = components["schemas"]["Environment"];
type Deployment = components["schemas"]["Deployment"];

const url = process.argv[2] ?? "http://127.0.0.1:8000";
const client = createClient<paths>({ baseUrl: url });
const SECONDS = 60;

/** The data of an answer, which must not be a refusal. */
function expect<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

/** What `read` returns once it is `done`. */
async function once<T>(read: () => Promise<T>, done: (seen: T) => boolean): Promise<T> {
  const ends = Date.now() + SECONDS * 1000;
  for (;;) {
    const seen = await read();
    if (done(seen)) return seen;
    if (Date.now() > ends) throw new Error(JSON.stringify(seen));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const email = `typescript-${Date.now()}@example.com`;
const password = "secret123";
expect(await client.POST("/api/v1/auth/register", { body: { email, password } }));
const session = expect(
  await client.POST("/api/v1/auth/login", { body: { username: email, password } }),
);
const headers = { Authorization: `Bearer ${session.access_token}` };

const project = expect(
  await client.POST("/api/v1/projects", { headers, body: { name: "payments" } }),
);
const made = expect(
  await client.POST("/api/v1/environments/projects/{project_id}", {
    headers,
    params: { path: { project_id: project.id } },
    body: { name: "preview-pr-123", type: "ephemeral", ttl_hours: 24 },
  }),
);
if (!("status" in made)) throw new Error("a plan");
console.log("environment", made.name, made.status);

const path = { environment_id: made.id };
const running: Environment = await once(
  async () =>
    expect(
      await client.GET("/api/v1/environments/{environment_id}", { headers, params: { path } }),
    ),
  (seen) => seen.status === "running",
);

const deployment: Deployment = expect(
  await client.POST("/api/v1/deployments/environments/{environment_id}", {
    headers,
    params: { path },
    body: { version: "sha-1234567" },
  }),
);
const ended = await once(
  async () =>
    expect(
      await client.GET("/api/v1/deployments/{deployment_id}", {
        headers,
        params: { path: { deployment_id: deployment.id } },
      }),
    ),
  (seen) => seen.finished_at !== null,
);
console.log("deployment", ended.version, ended.status);

const listed = expect(
  await client.GET("/api/v1/environments/projects/{project_id}", {
    headers,
    params: { path: { project_id: project.id }, query: { limit: 5 } },
  }),
);
if (listed[0]?.id !== running.id) throw new Error(JSON.stringify(listed));

// A template's body is an object, not a text.
await client.POST("/api/v1/templates", { headers, body: { name: `typescript-${Date.now()}` } });
expect(
  await client.DELETE("/api/v1/environments/{environment_id}", { headers, params: { path } }),
);
console.log("environment", running.name, "is torn down");
