/**
 * Reads channels, in browsers and in Node.
 *
 * @module
 */
export type { OpenStream, Platform, Socket, StreamReader } from "./connection/platform.js";
export type { ClientSubscriptionToken, SubscriptionToken, TokenInput } from "./connection/token.js";
export { channel, realtime } from "./definition/channel.js";
export { staticSchema } from "./definition/schema.js";
export { RealtimeError } from "./error.js";
export type { RealtimeErrorCode } from "./error.js";
export type { Message, TopicMessage } from "./message.js";
export { getSubscriptionToken } from "./server/token.js";
export { observe } from "./subscription/observe.js";
export type { ObserveOptions } from "./subscription/observe.js";
export { prefetch } from "./subscription/prefetch.js";
export type { PrefetchOptions } from "./subscription/prefetch.js";
export type { Prefetched } from "./subscription/reading.js";
export type { StoreState } from "./subscription/store.js";
export { subscribe } from "./subscription/subscribe.js";
export type { App, CallbackSubscription, SubscribeOptions, Subscription, Update } from "./subscription/subscribe.js";
