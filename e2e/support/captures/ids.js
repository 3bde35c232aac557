// Which id of ours stands for which recorded one: each for one other and no second, through a whole recording.

const ID = /(?<![0-9A-Za-z])(?:[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|TOKEN-\d+)(?![0-9A-Za-z])/g;
/** Account and environment of every dev server. */
const FIXED = /^0{8}-/;

export class Ids {
  #ours = new Map();
  #recorded = new Map();

  /** A recorded text as we have to say it: with our ids. One that nobody has given us yet is the client's own. */
  ours(text) {
    if (this.#ours.has(text)) return this.#ours.get(text);
    return text.replace(ID, (id) => (this.isOne(id, id), this.#ours.get(id) ?? id));
  }

  /** Whether two texts are the same but for ids that stand for each other. */
  areOne(recorded, ours) {
    const [theirIds, ourIds] = [recorded.match(ID) ?? [], ours.match(ID) ?? []];
    if (recorded.replace(ID, "") !== ours.replace(ID, "") || theirIds.length !== ourIds.length) return false;
    return theirIds.every((id, index) => this.isOne(id, ourIds[index]));
  }

  /**
   * Whether an id of ours stands for a recorded one; from now on it does, when neither has stood for another. Two ids of different kinds
   * may be equal in ours.
   */
  isOne(recorded, ours, kind = "id") {
    if (FIXED.test(recorded)) return recorded === ours;
    const ourKey = `${kind} ${ours}`;
    if (!this.#ours.has(recorded) && !this.#recorded.has(ourKey)) {
      this.#ours.set(recorded, ours);
      this.#recorded.set(ourKey, recorded);
    }
    return this.#ours.get(recorded) === ours;
  }
}
