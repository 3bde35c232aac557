/**
 * Reads by requests that wait, where nothing else gets through.
 *
 * @module
 */
export { longPoll } from "./transport/long-poll.js";
