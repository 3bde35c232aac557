import type { ClientSubscriptionToken, SubscriptionToken } from "../connection/token.js";
import type { ChannelInput, TopicName } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import type { App } from "../subscription/subscribe.js";

/**
 * Mints a token to read topics of a channel, with a `Stepcast` or a client of npm `inngest`.
 *
 * @example
 * ```ts
 * const token = await getSubscriptionToken(stepcast, { channel: pipeline({ runId }), topics: ["status"] });
 * const messages = await subscribe(token);
 * ```
 */
export async function getSubscriptionToken<
  const TChannel extends ChannelInput,
  const TTopics extends readonly TopicName<TChannel>[],
>(app: App, args: { channel: TChannel; topics: TTopics }): Promise<SubscriptionToken<TChannel, [...TTopics]>> {
  return (await app.realtime.token(args)) as SubscriptionToken<TChannel, [...TTopics]>;
}

/**
 * Mints a token that may be handed to a browser.
 *
 * @example
 * ```ts
 * export async function GET() {
 *   return Response.json(await getClientSubscriptionToken(stepcast, { channel: pipeline({ runId }), topics: ["status"] }));
 * }
 * ```
 */
export async function getClientSubscriptionToken<
  const TChannel extends ChannelInput,
  const TTopics extends readonly TopicName<TChannel>[],
>(app: App, args: { channel: TChannel; topics: TTopics }): Promise<ClientSubscriptionToken> {
  const { key, apiBaseUrl } = await app.realtime.token(args);
  if (key === undefined) throw new RealtimeError("invalid_token", "server has given no token");
  return { key, ...(apiBaseUrl === undefined ? {} : { apiBaseUrl }) };
}
