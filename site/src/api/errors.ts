/** Errors of the API, as pages show them. */

export interface FieldProblem {
  field: string;
  message: string;
}

/** A refusal by the service, or no answer at all: then `status` is 0 and `code` is `unreachable`. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly details: readonly FieldProblem[];
  /** Seconds after which a repeat may succeed; null where the service named none. */
  readonly retryAfter: number | null;
  readonly requestId: string | null;

  constructor(
    message: string,
    error: { code: string; status: number; details?: readonly FieldProblem[]; request_id?: string },
    retryAfter: number | null = null,
  ) {
    super(message);
    this.name = "ApiError";
    this.code = error.code;
    this.status = error.status;
    this.details = error.details ?? [];
    this.retryAfter = retryAfter;
    this.requestId = error.request_id ?? null;
  }

  /** Message for one field of a form; undefined where the service did not name it. */
  forField(field: string): string | undefined {
    return this.details.find((detail) => detail.field === field)?.message;
  }
}

export const UNREACHABLE = "unreachable";

interface Refusal {
  message: string;
  error: { code: string; status: number; details?: FieldProblem[]; request_id?: string };
}

function isRefusal(body: unknown): body is Refusal {
  return typeof body === "object" && body !== null && "error" in body && "message" in body;
}

/**
 * Error of an answer that is no success.
 *
 * A proxy between may answer with another body than the service's envelope; its status is all that is known then.
 */
export function errorOf(response: Response, body: unknown): ApiError {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const retryAfter = Number.isNaN(seconds) ? null : seconds;
  if (isRefusal(body)) return new ApiError(body.message, body.error, retryAfter);
  return new ApiError(`HTTP ${response.status}`, { code: "unexpected_answer", status: response.status }, retryAfter);
}
