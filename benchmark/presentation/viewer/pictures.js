/* Pictures in the page. An <img> has the size of its file in CSS pixels and is only ever moved by its transform. */

const GONE = "This picture is no longer here";
const LOADING_NOTE_DELAY_MS = 200;
const LARGE_PX = 4e6;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/* Puts `image`, which shows `picture`, where the frame is. `hurried`: while the zoom changes, a large picture in the strip is
   not smoothed, because the browser would scale all of it anew each time the zoom passes another power of two. */
function placeImage(image, picture, place, frame, dpr, hurried = false) {
  const sx = (place.scale * frame.w) / picture.width;
  const sy = (place.scale * frame.h) / picture.height;
  image.style.transform = `translate(${place.x}px, ${place.y}px) scale(${sx}, ${sy})`;
  const rough = hurried && picture.width * picture.height > LARGE_PX;
  const nearest = rough || (picture.pixelated ? sx * dpr > 1 : place.scale * dpr >= 2);
  const rendering = nearest ? "pixelated" : "auto";
  if (image.dataset.rendering !== rendering) {
    image.dataset.rendering = rendering;
    image.style.imageRendering = rendering;
  }
}

function sizeImage(image, picture) {
  image.style.width = `${picture.width}px`;
  image.style.height = `${picture.height}px`;
}

/* One of the pictures that lie over each other on the stage. The old picture stays until the new one is decoded, so a
   change never flashes; if that takes long it gives way to a note, so that no picture stands under another's name. */
class Layer {
  constructor(element, onChange, onGone) {
    this.element = element;
    this.note = element.querySelector(".note");
    this.onChange = onChange;
    this.onGone = onGone;
    this.image = null;
    this.shown = null;
    this.url = null;
  }

  show(picture, gone) {
    const url = picture && !gone ? picture.url : null;
    if (url === null) {
      this.url = null;
      clearTimeout(this.timer);
      this.drop();
      this.write(gone ? GONE : "No picture yet");
    } else if (url !== this.url) {
      this.url = url;
      clearTimeout(this.timer);
      this.load(picture, url);
    }
  }

  async load(picture, url) {
    const image = new Image();
    image.className = "picture";
    image.alt = "";
    image.draggable = false;
    sizeImage(image, picture);
    image.src = url;
    this.timer = setTimeout(() => {
      this.drop();
      this.write("Loading the picture");
    }, LOADING_NOTE_DELAY_MS);
    await image.decode().catch(() => undefined);
    if (this.url !== url) return;
    clearTimeout(this.timer);
    if (image.naturalWidth === 0) {
      this.onGone(url);
      return;
    }
    this.drop();
    this.write("");
    this.image = image;
    this.shown = picture;
    this.element.prepend(image);
    this.onChange();
  }

  drop() {
    this.image?.remove();
    this.image = null;
    this.shown = null;
  }

  write(text) {
    this.note.hidden = text === "";
    setText(this.note, text);
  }

  /* `from` and `to`: the part of the stage this layer may paint, in CSS pixels. */
  place(place, frame, pane, dpr, from, to) {
    this.element.style.clipPath = `inset(0 ${pane.w - to}px 0 ${from}px)`;
    if (this.image) placeImage(this.image, this.shown, place, frame, dpr);
    if (!this.note.hidden) this.note.style.transform = `translate(calc(${(from + to) / 2}px - 50%), -50%)`;
  }
}
