/**
 * For functions of npm `inngest` 4.24: puts `publish` into the handler's arguments.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";

import { Middleware, type Realtime } from "inngest";

import type { TopicRef } from "./definition/channel.js";
import type { InferInput } from "./definition/schema.js";
import { Counter } from "./server/counter.js";
import { Stepcast } from "./server/stepcast.js";

/**
 * Publishes a message to a topic of a channel, at once. Inside of a step it belongs to the step's attempt, and is taken back when that fails.
 *
 * Where the server has given up the request that runs the function, as after a timeout or when the server itself has ended, it fails with
 * `attempt_over`: the same work goes on in another request, and this one may end.
 */
export type Publish = <TTopic extends AnyTopic>(topic: TTopic, data: DataOf<TTopic>) => Promise<void>;

/** A topic of this package, or of npm `inngest`. */
type AnyTopic = TopicRef<any> | Realtime.TopicRef<any>;

/** What may be published: ours says it by its schema, that of npm `inngest` only by its parameter. */
type DataOf<TTopic extends AnyTopic> = unknown extends InferInput<TTopic["config"]["schema"]>
  ? TTopic extends Realtime.TopicRef<infer TData>
    ? TData
    : unknown
  : InferInput<TTopic["config"]["schema"]>;

/** The step in whose handler somebody publishes. */
interface Place {
  readonly stepId: string;
  /** The hash of its id, which any header can hold. */
  readonly hash: string;
  readonly attempt: number;
  readonly counter: Counter;
}

/**
 * Middleware that puts `publish` into the arguments of every handler.
 *
 * A message is published once, however often the handler runs again on the way of its run: the same message, as often as it is said.
 *
 * @example
 * ```ts
 * export const inngest = new Inngest({ id: "app", middleware: [PublishMiddleware] });
 *
 * inngest.createFunction({ id: "f", triggers: [{ event: "app/generate" }] }, async ({ event, publish, step }) => {
 *   await publish(pipeline({ runId: event.data.runId }).status, { message: "Starting…" });
 * });
 * ```
 */
export class PublishMiddleware extends Middleware.BaseMiddleware {
  override readonly id = "stepcast";
  readonly #place = new AsyncLocalStorage<Place>();

  override transformFunctionInput(
    arg: Middleware.TransformFunctionInputArgs,
  ): Middleware.TransformFunctionInputArgs & { ctx: { publish: Publish } } {
    const { runId, requestId } = arg.ctx;
    const { apiBaseUrl, signingKey, fetch } = this.client;
    const stepcast = new Stepcast({ url: apiBaseUrl, fetch, ...(signingKey === undefined ? {} : { signingKey }) });
    const body = new Counter();
    const send = async (topic: AnyTopic, data: unknown) => {
      const place = this.#place.getStore();
      const said = (place?.counter ?? body).next(topic.channel, topic.topic, data);
      const where = place ? `${place.hash}:${place.attempt}` : "body";
      const origin = place ? { stepId: place.stepId, attempt: place.attempt } : {};
      const call = requestId === undefined ? {} : { requestId };
      await stepcast.realtime.publish<unknown>(topic, data, { runId, idempotencyKey: `${runId}:${where}:${said}`, ...origin, ...call });
    };
    const publish: Publish = (topic, data) => {
      const sent = send(topic, data);
      const told = sent.then(() => {});
      // Who does not wait need not hear that an attempt which counts no more says nothing: as a rejection that nobody handles, it would end the process.
      sent.catch(({ code }) => {
        if (code === "attempt_over") told.catch(() => {});
      });
      return told;
    };
    return { ...arg, ctx: Object.assign(arg.ctx, { publish }) };
  }

  override wrapStepHandler({ ctx, next, stepInfo }: Middleware.WrapStepHandlerArgs): Promise<unknown> {
    const { options, hashedId: hash } = stepInfo;
    const place = { stepId: recordedId(options.id, hash), hash, attempt: ctx.attempt + 1, counter: new Counter() };
    return this.#place.run(place, next);
  }
}

/** Steps of one run, at most. */
const STEPS = 1_000;

/** The id under which a step is recorded: its own, with a number from its second use on. */
function recordedId(id: string, hashedId: string): string {
  const is = (candidate: string) => createHash("sha1").update(candidate).digest("hex") === hashedId;
  for (let index = 0; index < STEPS; index++) {
    const candidate = index === 0 ? id : `${id}:${index}`;
    if (is(candidate)) return candidate;
  }
  return id;
}
