import { RealtimeError } from "../error.js";

/** Items that a stream keeps for somebody who does not read it. */
const MOST = 10_000;

/** A stream that is fed from outside. One that is not read for too long ends with `too_slow`, whatever else is read meanwhile. */
export class Sink<T> {
  readonly stream: ReadableStream<T>;
  #controller!: ReadableStreamDefaultController<T>;
  #isOver = false;

  constructor(onCancel: () => void) {
    this.stream = new ReadableStream<T>(
      {
        start: (controller) => void (this.#controller = controller),
        cancel: () => {
          this.#isOver = true;
          onCancel();
        },
      },
      { highWaterMark: MOST },
    );
  }

  put(item: T): void {
    if (this.#isOver) return;
    if ((this.#controller.desiredSize ?? 0) <= 0) {
      return this.end(new RealtimeError("too_slow", `stream was not read while ${MOST} messages came`));
    }
    this.#controller.enqueue(item);
  }

  end(error?: RealtimeError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (error) this.#controller.error(error);
    else this.#controller.close();
  }
}

/** What is in a stream, for `for await`: not every browser iterates over streams by itself. */
export async function* iterate<T>(stream: ReadableStream<T>): AsyncGenerator<T, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
