// A client by the types that openapi-typescript makes: tsc checks it, and node runs it against a service.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

declare const process: { argv: string[] };
const [, , baseUrl, token] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

const created = await client.POST("/api/v1/posts", { body: { title: "제목", content: "내용" } });
const refused = await client.POST("/api/v1/posts", { body: { title: " ", content: "내용" } });
const missing = await client.GET("/api/v1/posts/{post_id}", { params: { path: { post_id: "0".repeat(32) } } });
const listed = await client.GET("/api/v1/posts");
const issued = await client.POST("/dev/token", { body: { username: "ana" } });

// @ts-expect-error - a post needs a title
const untitled: components["schemas"]["NewPost"] = { content: "내용" };

console.log(
  JSON.stringify({
    category: created.data?.data.category,
    statuses: [created, refused, missing, listed, issued].map(({ response }) => response.status),
    codes: [refused.error?.error.code, missing.error?.error.code],
    total: listed.data?.meta.total,
  }),
);
