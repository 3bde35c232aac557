// Two values side by side, field by field.

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const isTime = (value) => (typeof value === "string" ? TIME.test(value) : Number.isInteger(value) && value > 1e12 && value < 1e13);

/** The kinds of values that a server makes up and that look like nothing in particular: each stands for one other, as an id does. */
const OPAQUE = [["job", /\.(job_id|x-inngest-job-id)$/], ["queue item", /\.qi_id$/], ["token", /\.jwt$/]];

/**
 * Where two values differ: `path`, `recorded` and `ours`. Ids are compared by what they stand for; times only by being times, unless the
 * client has `said` them.
 */
export function differences(recorded, ours, { ids, said }, path = "") {
  if (isObject(recorded) && isObject(ours)) {
    const keys = new Set([...Object.keys(recorded), ...Object.keys(ours)]);
    return [...keys].flatMap((key) => differences(recorded[key], ours[key], { ids, said }, `${path}.${key}`));
  }
  if (Array.isArray(recorded) && Array.isArray(ours)) {
    const indices = [...Array(Math.max(recorded.length, ours.length)).keys()];
    return indices.flatMap((index) => differences(recorded[index], ours[index], { ids, said }, `${path}.${index}`));
  }
  if (typeof recorded === "string" && typeof ours === "string") {
    const [kind] = OPAQUE.find(([, at]) => at.test(path)) ?? [];
    if (kind ? ids.isOne(recorded, ours, kind) : ids.areOne(recorded, ours)) return [];
  }
  if (isTime(recorded) && isTime(ours) && typeof recorded === typeof ours && !said.has(recorded)) return [];
  return Object.is(recorded, ours) ? [] : [{ path, recorded, ours }];
}

/** Every text and number in a value. */
export function leaves(value) {
  return value !== null && typeof value === "object" ? Object.values(value).flatMap(leaves) : [value];
}

/** Where the keys of an object are not in the order of canonical JSON (RFC 8785), which is what a signature is made over. */
export function disorder(value, path = "") {
  if (value === null || typeof value !== "object") return [];
  const keys = Object.keys(value);
  const isSorted = Array.isArray(value) || keys.every((key, index) => index === 0 || keys[index - 1] < key);
  return [...(isSorted ? [] : [path]), ...keys.flatMap((key) => disorder(value[key], `${path}.${key}`))];
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
