/* Which picture stands on which side, under which name, and in which order. Knows nothing of the page. */

const SOURCES = ["original", "downscaled"];

function otherSide(side) {
  return side === "left" ? "right" : "left";
}

function letter(index) {
  return String.fromCharCode(65 + index);
}

function shuffled(items) {
  return items.map((item) => [Math.random(), item]).sort((a, b) => a[0] - b[0]).map(([, item]) => item);
}

class Choice {
  constructor() {
    this.pictures = [];
    this.wanted = { left: null, right: null };
    this.touched = false;
    this.pick = null;
    this.letters = null;
    this.gone = new Set();
    this.arrived = new Set();
  }

  /* Takes over new data. A choice of the person stays; until there is one, Python's sides hold, or the newest result. */
  adopt(data, before) {
    this.pictures = data.pictures;
    if (data.pick !== before?.pick) this.pick = data.pick;
    if (data.follow_newest && !before?.follow_newest) this.touched = false;
    for (const side of ["left", "right"]) {
      const changed = !this.touched && data[side] !== before?.[side];
      if (changed || this.find(this.wanted[side]) === null) this.wanted[side] = data[side];
    }
    const results = data.pictures.filter((picture) => picture.url && !SOURCES.includes(picture.id));
    const newest = results.findLast((picture) => !this.arrived.has(picture.url));
    this.arrived = new Set(results.map((picture) => picture.url));
    if (newest && data.follow_newest && !this.touched) this.wanted.right = newest.id;
  }

  find(id) {
    return this.pictures.find((picture) => picture.id === id) ?? null;
  }

  isGone(picture) {
    return picture !== null && this.gone.has(picture.url);
  }

  isReady(picture) {
    return Boolean(picture?.url) && !this.gone.has(picture.url);
  }

  /* What a side shows: the wanted picture; while that is not there, another one, and best not the other side's. */
  get sides() {
    const ready = this.pictures.filter((picture) => this.isReady(picture)).map((picture) => picture.id);
    const side = (name) => {
      const wanted = this.find(this.wanted[name]);
      if (this.isReady(wanted) || this.isGone(wanted)) return wanted.id;
      const free = ready.filter((id) => id !== this.wanted[otherSide(name)]);
      if (name === "left") return free[0] ?? ready[0] ?? null;
      return free.findLast((id) => !SOURCES.includes(id)) ?? free.at(-1) ?? ready[0] ?? null;
    };
    const sides = { left: side("left"), right: side("right") };
    // The first result may be the one that belongs on the left: until there is another, it is compared with what it was made from.
    const apart = [...SOURCES].reverse().find((id) => ready.includes(id));
    if (sides.left === sides.right && !this.touched && apart) sides.left = apart;
    return sides;
  }

  /* The picture that Space shows: what the results are compared with. */
  get source() {
    return SOURCES.map((id) => this.find(id)).find((picture) => this.isReady(picture)) ?? null;
  }

  /* A picture that the other side shows changes places with this side's. Returns whether anything was chosen. */
  choose(id, side) {
    if (!this.isReady(this.find(id))) return false;
    const sides = this.sides;
    if (sides[otherSide(side)] === id) sides[otherSide(side)] = sides[side];
    this.wanted = { ...sides, [side]: id };
    return true;
  }

  togglePick(id) {
    this.pick = this.pick === id ? null : id;
  }

  get namesHidden() {
    return this.letters !== null;
  }

  /* Without names the results stand in random order, and the two sides start afresh, so that nothing gives them away. */
  toggleNames() {
    const results = this.pictures.filter((picture) => !SOURCES.includes(picture.id)).map((picture) => picture.id);
    this.letters = this.letters ? null : new Map(shuffled(results).map((id, index) => [id, letter(index)]));
    const ready = [...(this.letters?.keys() ?? [])].filter((id) => this.isReady(this.find(id)));
    if (ready.length >= 2) [this.wanted.left, this.wanted.right] = ready;
  }

  labelOf(picture) {
    return this.letters?.get(picture.id) ?? picture.label;
  }

  captionOf(picture) {
    return this.letters?.has(picture.id) ? "" : picture.caption;
  }

  /* The order of display. A result that arrives while names are hidden gets the next letter. */
  get ordered() {
    if (this.letters === null) return this.pictures;
    const results = this.pictures.filter((picture) => !SOURCES.includes(picture.id));
    for (const { id } of results) if (!this.letters.has(id)) this.letters.set(id, letter(this.letters.size));
    const rank = [...this.letters.keys()];
    results.sort((a, b) => rank.indexOf(a.id) - rank.indexOf(b.id));
    return [...this.pictures.filter((picture) => SOURCES.includes(picture.id)), ...results];
  }
}
