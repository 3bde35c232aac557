import type { RealtimeError } from "../error.js";
import type { ChannelFrame } from "../protocol/frame.js";
import type { Session } from "../protocol/session.js";
import type { StreamReader } from "./platform.js";
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
export interface LineReader extends StreamReader {
  readonly session: Session;
  readonly token: Token | undefined;
  /** It is read. `seconds` is how long it may go on with the token that was shown, the first one or another; absent when there is no end. */
  onOpen(seconds?: number): void;
  onFrame(frame: ChannelFrame): void;
  /** What was asked is not done: to read, or to go on with another token. */
  onRefused(error: RealtimeError): void;
  /** The line is gone. */
  onDown(down: Down): void;
}

/** What frames come over. */
export interface Line {
  /** Shows the reader's token, which is another one. */
  auth(reader: LineReader): void;
  /** The reader has gone. */
  detach(reader: LineReader): void;
  /** Looks whether the server is there. */
  wake(): void;
}
