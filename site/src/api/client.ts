/** Client of the API, typed by its OpenAPI document. */

import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema";
import { ApiError, errorOf, UNREACHABLE } from "./errors";

export interface ClientOptions {
  /** Base URL, as in the configuration. */
  base: string;
  /** A good token, or null for an anonymous caller; refreshed where it is about to expire. */
  token: () => Promise<string | null>;
  /** A token that replaces one which the service has just refused; null if there is none. */
  renewedToken: (refused: string) => Promise<string | null>;
  /** Language of messages, such as `ko`. */
  language: () => string;
  /** Answer to a GET without a token that was sent before; null for any other. */
  early: (url: string, language: string) => Promise<Response> | null;
}

export type Api = Client<paths>;

export function createApi(options: ClientOptions): Api {
  return createClient<paths>({ baseUrl: options.base || location.origin, fetch: (request) => send(request, options) });
}

async function send(request: Request, options: ClientOptions): Promise<Response> {
  const token = await options.token();
  if (token === null) return fetchWith(request, null, options);
  const again = request.clone(); // a body is read once
  const response = await fetchWith(request, token, options);
  if (response.status !== 401) return response;
  // The token ended on the way, or the clocks differ: one more try with a new one.
  const renewed = await options.renewedToken(token);
  return renewed === null ? response : fetchWith(again, renewed, options);
}

async function fetchWith(request: Request, token: string | null, options: ClientOptions): Promise<Response> {
  const language = options.language();
  const early = token === null && request.method === "GET" ? options.early(request.url, language) : null;
  if (token !== null) request.headers.set("Authorization", `Bearer ${token}`);
  request.headers.set("Accept-Language", language);
  try {
    return await (early ?? fetch(request));
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new ApiError("", { code: UNREACHABLE, status: 0 });
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/**
 * Body of a successful answer.
 *
 * @throws ApiError for a refusal, and where no answer came.
 */
export async function bodyOf<T>(pending: Promise<Answer<T>>): Promise<T> {
  return (await answerOf(pending)).body;
}

/** As `bodyOf`, with the response for its headers. */
export async function answerOf<T>(pending: Promise<Answer<T>>): Promise<{ body: T; response: Response }> {
  const { data, error, response } = await pending;
  if (!response.ok || data === undefined) throw errorOf(response, error);
  return { body: data, response };
}
