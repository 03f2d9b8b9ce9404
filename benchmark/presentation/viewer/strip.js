/* The strip: the same part of every picture, at the viewer's magnification, around the viewer's middle. */

const TILE_MIN_CSS_PX = 150;
const TILE_MAX_CSS_PX = 180;
const TILE_HEIGHT_CSS_PX = 112;
const TILE_GAP_CSS_PX = 12;
const STATE_TEXT = { waiting: "Waiting", loading: "Loading model", running: "Running", timing: "Timing" };

class Tile {
  constructor(element, id, actions) {
    this.element = element;
    const find = (selector) => element.querySelector(selector);
    this.crop = find(".crop");
    this.image = find(".picture");
    this.message = find(".message");
    this.progress = find(".progress");
    this.mark = find(".mark");
    this.star = find(".star");
    this.action = find(".action");
    this.number = find("kbd");
    this.name = find(".name span");
    this.caption = find(".caption");
    this.picture = null;
    this.url = null;
    this.parts = null;
    this.gone = () => actions.gone(this.url);
    this.crop.addEventListener("click", (event) => actions.choose(id, event.shiftKey ? "left" : "right"));
    this.star.addEventListener("click", () => actions.pick(id));
    this.action.addEventListener("click", () => actions.act(id));
    this.image.addEventListener("error", this.gone);
    this.image.addEventListener("load", () => element.classList.add("loaded"));
  }

  update({ picture, number, label, caption, side, picked, gone, inParts }) {
    this.picture = picture;
    this.load(gone ? null : picture.url, inParts);
    this.writeState(picture, gone);
    this.element.dataset.side = side;
    this.crop.disabled = this.url === null;
    setAttribute(this.crop, "aria-pressed", side === "right");
    setAttribute(this.crop, "aria-label", `${label}: show on the right, with Shift on the left`);
    setAttribute(this.star, "aria-pressed", picked);
    setAttribute(this.star, "aria-label", `My pick: ${label}`);
    this.star.hidden = this.url === null;
    setText(this.mark, { left: "Left", right: "Right" }[side] ?? "");
    setText(this.number, number <= 9 ? String(number) : "");
    setText(this.name, label);
    setText(this.caption, caption);
    this.name.title = label;
    this.caption.title = caption;
  }

  load(url, inParts) {
    if (url === this.url) return;
    this.url = url;
    this.element.classList.remove("loaded");
    this.parts?.close();
    this.parts = null;
    this.image.hidden = url === null || inParts;
    if (this.image.hidden) this.image.removeAttribute("src");
    if (url === null) return;
    if (inParts) {
      this.parts = new Parts(this.crop, this.picture, { onShown: () => this.element.classList.add("loaded"), onGone: this.gone });
      return;
    }
    sizeImage(this.image, this.picture);
    this.image.src = url;
  }

  place(place, frame, pane, dpr, hurried) {
    if (this.parts) this.parts.place(place, frame, pane, dpr);
    else if (this.url !== null) placeImage(this.image, this.picture, place, frame, dpr, hurried);
  }

  writeState(picture, gone) {
    const state = gone ? "failed" : picture.state;
    const share = picture.progress;
    this.element.dataset.state = state;
    const text = gone ? GONE : picture.message || STATE_TEXT[state] || (state === "failed" ? "Failed" : "");
    setText(this.message, state === "ready" ? "" : text);
    this.message.title = text;
    this.progress.hidden = state === "failed" || share === null;
    if (share !== null) {
      this.progress.firstElementChild.style.transform = `scaleX(${clamp(share, 0, 1)})`;
      setAttribute(this.progress, "aria-valuenow", Math.round(share * 100));
      setAttribute(this.progress, "aria-label", text);
    }
    this.action.hidden = state !== "failed" || gone || picture.action === "";
    setText(this.action, picture.action);
  }
}

class Strip {
  constructor(element, template, actions) {
    this.element = element;
    this.template = template;
    this.actions = actions;
    this.tiles = new Map();
    this.pane = { w: 0, h: 0 };
  }

  /* `rows`: what each tile shows, in the order of display. Tiles are kept by id; those that left are dropped. */
  update(rows) {
    const wanted = new Set(rows.map((row) => row.picture.id));
    for (const [id, tile] of this.tiles) {
      if (wanted.has(id)) continue;
      tile.load(null, false);
      tile.element.remove();
      this.tiles.delete(id);
    }
    rows.forEach((row, index) => {
      const { id } = row.picture;
      if (!this.tiles.has(id)) {
        const element = this.template.content.firstElementChild.cloneNode(true);
        this.tiles.set(id, new Tile(element, id, this.actions));
      }
      const tile = this.tiles.get(id);
      const there = this.element.children[index];
      if (there !== tile.element) this.element.insertBefore(tile.element, there ?? null);
      tile.update(row);
    });
  }

  /* All tiles are equally wide: as wide as fits without scrolling, within bounds. Whole pixels keep crops sharp. */
  measure() {
    const room = this.element.clientWidth;
    const even = Math.floor((room + TILE_GAP_CSS_PX) / Math.max(1, this.tiles.size)) - TILE_GAP_CSS_PX;
    this.pane = { w: clamp(even, TILE_MIN_CSS_PX, TILE_MAX_CSS_PX), h: TILE_HEIGHT_CSS_PX };
    this.element.style.setProperty("--tile-width", `${this.pane.w}px`);
    this.element.style.setProperty("--tile-height", `${this.pane.h}px`);
  }

  place(view, frame, dpr, hurried) {
    const place = placeFrame(view, frame, this.pane, dpr);
    for (const tile of this.tiles.values()) tile.place(place, frame, this.pane, dpr, hurried);
    return place;
  }
}
