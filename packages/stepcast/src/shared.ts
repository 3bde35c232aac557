/**
 * One tab that reads for all tabs of a browser.
 *
 * @module
 */
export { shared } from "./transport/shared.js";
