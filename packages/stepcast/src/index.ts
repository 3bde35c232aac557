/**
 * Declares channels, and talks to a server from Node.
 *
 * @module
 */
export { channel, realtime } from "./definition/channel.js";
export type { ChannelDef, ChannelInput, ChannelInstance, TopicConfig, TopicRef, TopicsConfig } from "./definition/channel.js";
export { staticSchema } from "./definition/schema.js";
export type { StandardSchemaV1 } from "./definition/schema.js";
export { RealtimeError } from "./error.js";
export type { RealtimeErrorCode } from "./error.js";
export type { Message, TopicMessage } from "./message.js";
export { Stepcast } from "./server/stepcast.js";
export type { EventInput, PublishOptions, Sent, StepcastOptions, TokenOptions } from "./server/stepcast.js";
