/**
 * Why something of realtime did not work. Codes of the server stand beside those of the client:
 *
 * | code | meaning |
 * |---|---|
 * | `invalid_token` | what was to be a token is none: HTML, empty, other text |
 * | `token_failed` | the function that gets tokens has thrown |
 * | `bad_token`, `forbidden` | the server does not take the token, or it does not allow this |
 * | `wrong_channel` | the token is for another channel |
 * | `unreachable` | the server cannot be reached, or does not answer |
 * | `outdated_client` | a topic has another schema now than the page was built against; reload it |
 * | `invalid_message` | a message does not fit its topic's schema |
 * | `rolled_back`, `gap` | what was given is void; something is gone |
 * | `too_slow` | a stream was not read for too long |
 * | `no_server` | nothing says where the server is |
 * | `no_page` | what is for pages was called where there is none |
 * | `protocol` | the server has broken the protocol, or this client has |
 */
export type RealtimeErrorCode =
  | "invalid_token"
  | "token_failed"
  | "bad_token"
  | "forbidden"
  | "wrong_channel"
  | "unreachable"
  | "outdated_client"
  | "invalid_message"
  | "rolled_back"
  | "gap"
  | "too_slow"
  | "no_server"
  | "no_page"
  | "protocol"
  | "bad_channel"
  | "bad_topic"
  | "bad_cursor"
  | "closing"
  | (string & {});

/**
 * An error of realtime. Match on `code`, never on the message.
 *
 * @example
 * ```ts
 * if (error?.code === "forbidden") return <p>You may not see this run.</p>;
 * ```
 */
export class RealtimeError extends Error {
  override readonly name = "RealtimeError";
  /** What went wrong, as a stable name. */
  declare readonly code: RealtimeErrorCode;
  /** Whether it is tried again, or may be better later. */
  declare readonly retryable: boolean;

  constructor(code: RealtimeErrorCode, message: string, cause?: unknown, retryable = LATER.test(code)) {
    super(message, { cause });
    this.code = code;
    this.retryable = retryable;
  }
}

/** Codes after which the same may work later. */
const LATER = /^(overloaded|too_many|outcome_unknown|closing|unreachable|in_use|no_space|internal|token_failed|too_slow)$/;

/** The error of an HTTP answer that is none of success. */
export async function refusalOf(response: Response): Promise<RealtimeError> {
  const { status } = response;
  const code = status === 401 ? "bad_token" : status === 403 ? "forbidden" : "unreachable";
  // When it is not our JSON, something between us and the server has answered.
  const said = (await response.json().catch(() => null)) as { code?: string; error?: string } | null;
  return new RealtimeError(said?.code ?? code, said?.error ?? `server has answered ${status}`);
}
