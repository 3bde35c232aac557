import type { RealtimeError } from "../error.js";
import type { ChannelFrame } from "../protocol/frame.js";
import type { Session } from "../protocol/session.js";
import type { Token } from "./token.js";

/** Why a line is gone. */
export interface Down {
  readonly error: RealtimeError;
  /** How long to stay away, when that was said. */
  readonly wait?: number | undefined;
  /** It never stood: maybe the server has refused it, in words that only HTTP can carry. */
  readonly isHandshake?: boolean | undefined;
}

/** Who reads a channel over a line. */
export interface LineReader {
  readonly session: Session;
  /** It stands. `seconds` is how long it may go on with the token that was shown; absent when there is no end. */
  onOpen(seconds?: number): void;
  onFrame(frame: ChannelFrame): void;
  /** It may go on for so long. */
  onAuthenticated(seconds: number): void;
  /** The token that was shown to go on is not taken. */
  onTokenRefused(error: RealtimeError): void;
  /** The line goes on without this reader. */
  onRefused(error: RealtimeError): void;
  /** The line is gone. */
  onDown(down: Down): void;
}

/** What frames come over. */
export interface Line {
  /** Shows another token. */
  auth(reader: LineReader, token: Token): void;
  /** The reader has gone. */
  detach(reader: LineReader): void;
  /** Looks whether the server is there. */
  wake(): void;
}
