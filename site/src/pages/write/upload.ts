/** One upload with its progress. `fetch` reports none of what it sends, so this is an `XMLHttpRequest`. */

import { ApiError, errorOf, UNREACHABLE } from "../../api/errors";
import type { MediaFile } from "../../api/posts";
import type { Session } from "../../session/session";

interface Answer {
  response: Response;
  body: unknown;
}

/**
 * Upload a picture.
 *
 * @param base Base URL of the API.
 * @param onProgress Called with the part that was sent, 0 to 1.
 * @throws ApiError for a refusal, and where no answer came.
 */
export async function uploadPicture(
  base: string,
  session: Pick<Session, "token" | "renew">,
  postId: string,
  file: File,
  onProgress: (part: number) => void,
  signal: AbortSignal,
): Promise<MediaFile> {
  const url = `${base}/api/v1/posts/${postId}/media`;
  const token = await session.token();
  let answer = await send(url, token, file, onProgress, signal);
  if (answer.response.status === 401 && token !== null) {
    // As in the client of the API: the token ended on the way.
    const renewed = await session.renew(token);
    if (renewed !== null) answer = await send(url, renewed, file, onProgress, signal);
  }
  if (!answer.response.ok) throw errorOf(answer.response, answer.body);
  return (answer.body as { data: MediaFile }).data;
}

function send(
  url: string,
  token: string | null,
  file: File,
  onProgress: (part: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file);
    const unreachable = () => reject(new ApiError("", { code: UNREACHABLE, status: 0 }));
    request.upload.onprogress = ({ loaded, total, lengthComputable }) => lengthComputable && onProgress(loaded / total);
    request.upload.onload = () => onProgress(1);
    request.onerror = unreachable;
    request.onabort = unreachable;
    request.onload = () => resolve(answerOf(request));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", url);
    if (token !== null) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Accept-Language", document.documentElement.lang);
    request.send(form);
  });
}

function answerOf(request: XMLHttpRequest): Answer {
  const retryAfter = request.getResponseHeader("Retry-After");
  const headers = retryAfter === null ? {} : { "Retry-After": retryAfter };
  return { response: new Response(null, { status: request.status, headers }), body: jsonOf(request.responseText) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // the answer of a proxy between; its status tells
  }
}
