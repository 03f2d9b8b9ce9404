/* What the strip shows of a picture that is too large to be held whole in every tile: parts that the server cuts, at the size they
   are seen. Under the part lies the whole picture, reduced, so that a quick hand never sees a hole. */

const OVERVIEW_PX = 512;
const PART_GRID_PX = 32;
const PART_MARGIN = 0.5;
const PART_DELAY_MS = 100;

/* How often the server halves a picture until its longer side is at most `OVERVIEW_PX`. */
function overviewLevel(picture) {
  const longer = Math.max(picture.width, picture.height);
  return Math.max(0, Math.ceil(Math.log2(longer / OVERVIEW_PX)));
}

/* A picture halved `level` times. */
function reduced(picture, level) {
  const side = (length) => Math.ceil(length / 2 ** level);
  return { level, width: side(picture.width), height: side(picture.height) };
}

function partAddress(picture, part) {
  return `${picture.url}/parts/${part.level}/${part.x},${part.y},${part.width},${part.height}`;
}

/* The part that a pane needs at this place: with room to pan, on a grid so that the same parts are asked for again, and at the
   last level that still has a pixel for each of the screen's. Null where the reduced whole picture is enough. */
function partFor(picture, place, frame, pane, dpr) {
  const perPixel = (place.scale * frame.w) / picture.width;
  const level = clamp(Math.floor(-Math.log2(perPixel * dpr)), 0, overviewLevel(picture));
  if (level === overviewLevel(picture)) return null;
  const size = reduced(picture, level);
  const step = perPixel * 2 ** level;
  const span = (from, pixels, length) => {
    const [seen, room] = [pixels / step, (pixels / step) * PART_MARGIN];
    const start = clamp(Math.floor((-from / step - room) / PART_GRID_PX) * PART_GRID_PX, 0, length - 1);
    const end = clamp(Math.ceil((-from / step + seen + room) / PART_GRID_PX) * PART_GRID_PX, start + 1, length);
    return [start, end - start];
  };
  const [x, width] = span(place.x, pane.w, size.width);
  const [y, height] = span(place.y, pane.h, size.height);
  return { level, x, y, width, height };
}

/* Whether a part covers what the pane shows, at the level it needs. */
function covers(part, picture, place, frame, pane, dpr) {
  const needed = partFor(picture, place, frame, pane, dpr);
  if (needed === null || part === null) return needed === part;
  if (needed.level !== part.level) return false;
  const step = ((place.scale * frame.w) / picture.width) * 2 ** part.level;
  const size = reduced(picture, part.level);
  const inside = (from, pixels, start, length, whole) => {
    const first = clamp(-from / step, 0, whole);
    const last = clamp((pixels - from) / step, 0, whole);
    return start <= first && start + length >= last;
  };
  return inside(place.x, pane.w, part.x, part.width, size.width) && inside(place.y, pane.h, part.y, part.height, size.height);
}

/* The two images of a tile that shows a large picture. `element` holds them. */
class Parts {
  constructor(element, picture, { onShown, onGone }) {
    this.element = element;
    this.picture = picture;
    this.onGone = onGone;
    this.closed = false;
    this.part = null;
    this.asked = null;
    this.detail = null;
    this.whole = reduced(picture, overviewLevel(picture));
    this.overview = this.image({ ...this.whole, x: 0, y: 0 });
    this.overview.classList.add("overview");
    this.overview.addEventListener("load", onShown);
    this.overview.addEventListener("error", () => this.lose());
    element.append(this.overview);
  }

  image(part) {
    const image = new Image();
    image.className = "picture";
    image.alt = "";
    image.draggable = false;
    sizeImage(image, part);
    image.src = partAddress(this.picture, part);
    return image;
  }

  lose() {
    if (!this.closed) this.onGone();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.overview.remove();
    this.detail?.remove();
  }

  place(place, frame, pane, dpr) {
    this.last = [place, frame, pane, dpr];
    placeImage(this.overview, this.whole, place, frame, dpr);
    if (this.detail) this.placeDetail(place, frame, dpr);
    if (this.timer === undefined && !covers(this.asked ?? this.part, this.picture, ...this.last)) {
      this.timer = setTimeout(() => this.ask(), PART_DELAY_MS);
    }
  }

  placeDetail(place, frame, dpr) {
    const { part, picture, detail } = this;
    const step = ((place.scale * frame.w) / picture.width) * 2 ** part.level;
    detail.style.transform = `translate(${place.x + part.x * step}px, ${place.y + part.y * step}px) scale(${step})`;
    const nearest = picture.pixelated ? step * dpr > 1 : place.scale * dpr >= 2;
    detail.style.imageRendering = nearest ? "pixelated" : "auto";
  }

  async ask() {
    this.timer = undefined;
    const asked = partFor(this.picture, ...this.last);
    this.asked = asked;
    if (asked === null) {
      this.show(null, null);
      return;
    }
    const image = this.image(asked);
    await image.decode().catch(() => undefined);
    // Overtaken by a later one, which shows where the person looks now.
    if (this.closed || this.asked !== asked) return;
    if (image.naturalWidth === 0) this.lose();
    else this.show(asked, image);
  }

  show(part, image) {
    this.asked = null;
    this.detail?.remove();
    this.part = part;
    this.detail = image;
    if (image) this.element.append(image);
    this.place(...this.last);
  }
}
