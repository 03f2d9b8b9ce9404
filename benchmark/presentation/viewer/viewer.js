/* The viewer and its strip. Whoever mounts it sends `data` (see ui/viewer.py); what the person chooses lives here and goes
   back, debounced, as the value "view". A frame writes only transforms and clips, and reads no layout. */

const REPORT_DELAY_MS = 300;
const ZOOM_END_MS = 250;
const mounted = new WeakMap();

/* Shows `data` below `parentElement`, which holds viewer.html; called again, it changes what differs. The arguments and the
   clean-up that is returned are those of a Streamlit component; a saved report calls it in the same way. */
function mount({ data, parentElement, setStateValue, setTriggerValue }) {
  let compare = mounted.get(parentElement);
  if (!compare?.element.isConnected) {
    compare?.destroy();
    compare = new Compare(parentElement.querySelector(".compare"));
    mounted.set(parentElement, compare);
  }
  compare.send = setStateValue;
  compare.trigger = setTriggerValue;
  compare.update(data);
  return () => {
    // Streamlit also calls this for a run that newer data has overtaken; the viewer then stays.
    if (!compare.element.isConnected) compare.destroy();
  };
}

class Compare {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    this.element = element;
    this.parts = {
      viewer: find(".viewer"), stage: find(".stage"), handle: find(".handle"), hud: find(".hud"), area: find(".area"), chip: find(".chip"),
      names: find(".names"), full: find(".full"), keys: find(".keys"), zooms: [...element.querySelectorAll("[data-zoom]")],
      selects: { left: find(".left-side select"), right: find(".right-side select") },
    };
    const layer = (selector) => new Layer(find(selector), () => this.redraw(), (url) => this.lose(url));
    this.layers = { left: layer(".left-layer"), right: layer(".right-layer"), peek: layer(".peek-layer") };
    this.strip = new Strip(find(".strip"), find(".tile-template"), {
      choose: (id, side) => this.choose(id, side),
      pick: (id) => this.togglePick(id),
      act: (id) => this.trigger("action", id),
      gone: (url) => this.lose(url),
    });
    this.choice = new Choice();
    this.view = { x: 0, y: 0, zoom: 1, split: 0.5 };
    this.fitted = true;
    this.armed = false;
    this.zooming = false;
    this.data = null;
    this.frame = null;
    this.request = null;
    this.sidesSeen = null;
    this.lifetime = new AbortController();
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.parts.stage);
    this.listenToControls(this.lifetime.signal);
    listen(this, this.lifetime.signal);
  }

  listenToControls(signal) {
    const { selects, zooms, names, full } = this.parts;
    for (const [side, select] of Object.entries(selects)) {
      select.addEventListener("change", () => this.choose(select.value, side), { signal });
    }
    for (const button of zooms) button.addEventListener("click", () => this.setZoom(button.dataset.zoom), { signal });
    names.addEventListener("click", () => this.toggleNames(), { signal });
    full.hidden = !document.fullscreenEnabled;
    full.addEventListener("click", () => this.toggleFull(), { signal });
    document.addEventListener("fullscreenchange", () => full.setAttribute("aria-pressed", String(this.isFull())), { signal });
    window.addEventListener("resize", () => this.measure(), { signal });
  }

  destroy() {
    this.lifetime.abort();
    this.observer.disconnect();
    clearTimeout(this.reportTimer);
    clearTimeout(this.zoomTimer);
    cancelAnimationFrame(this.request);
  }

  /* -- what Python sends -- */

  update(data) {
    const before = this.data;
    this.data = data;
    this.choice.adopt(data, before);
    const [w, h] = data.frame;
    if (this.frame?.w !== w || this.frame?.h !== h) {
      this.frame = { w, h };
      this.fitted = data.zoom === null;
      this.view.zoom = data.zoom ?? 1;
      [this.view.x, this.view.y] = data.center ?? [w / 2, h / 2];
    }
    this.refresh();
    this.measure();
  }

  /* An address that gives no picture: both the viewer and the strip say so. */
  lose(url) {
    if (url === null || this.choice.gone.has(url)) return;
    this.choice.gone.add(url);
    this.refresh();
  }

  refresh() {
    const { choice, parts } = this;
    const { sides, ordered, source } = choice;
    const shown = { left: choice.find(sides.left), right: choice.find(sides.right), peek: source };
    for (const [name, picture] of Object.entries(shown)) this.layers[name].show(picture, choice.isGone(picture));
    this.strip.update(ordered.map((picture, index) => ({
      picture,
      number: index + 1,
      label: choice.labelOf(picture),
      caption: choice.captionOf(picture),
      side: ["left", "right"].find((side) => sides[side] === picture.id) ?? "",
      picked: choice.pick === picture.id,
      gone: choice.isGone(picture),
      inParts: this.data.parts_above_px !== null && picture.width * picture.height > this.data.parts_above_px,
    })));
    this.writeSelects(ordered, sides);
    const seen = JSON.stringify(sides);
    if (this.sidesSeen !== null && this.sidesSeen !== seen) this.report();
    this.sidesSeen = seen;
    setText(parts.names, choice.namesHidden ? "Reveal" : "Hide names");
    parts.names.setAttribute("aria-pressed", String(choice.namesHidden));
    this.redraw();
  }

  writeSelects(ordered, sides) {
    const usable = ordered.filter((picture) => this.choice.isReady(picture) || Object.values(sides).includes(picture.id));
    const options = usable.map((picture) => [this.choice.labelOf(picture), picture.id]);
    const text = JSON.stringify(options);
    for (const [side, select] of Object.entries(this.parts.selects)) {
      if (select.dataset.options !== text) {
        select.dataset.options = text;
        select.replaceChildren(...options.map(([label, id]) => new Option(label, id)));
      }
      select.value = sides[side] ?? "";
      select.disabled = options.length === 0;
    }
  }

  /* -- what the person does -- */

  touch() {
    this.choice.touched = true;
    this.redraw();
    this.report();
  }

  choose(id, side) {
    if (!this.choice.choose(id, side)) return;
    this.touch();
    this.refresh();
  }

  chooseNumber(number) {
    const picture = this.choice.ordered[number - 1];
    if (picture) this.choose(picture.id, "right");
  }

  togglePick(id) {
    this.choice.togglePick(id);
    this.refresh();
    this.report();
  }

  toggleNames() {
    this.choice.toggleNames();
    this.touch();
    this.refresh();
  }

  setZoom(zoom) {
    this.fitted = zoom === "fit";
    if (!this.fitted) this.view.zoom = Number(zoom);
    this.touch();
  }

  /* Zooms around the stage's point `at`, or around what the person looks at. */
  zoomBy(factor, at = null) {
    this.fitted = false;
    this.zooming = true;
    clearTimeout(this.zoomTimer);
    this.zoomTimer = setTimeout(() => {
      this.zooming = false;
      this.redraw();
    }, ZOOM_END_MS);
    if (at === null) this.view.zoom *= factor;
    else zoomAt(this.view, this.view.zoom * factor, at, this.frame, this.pane, this.dpr);
    this.touch();
  }

  pan(dx, dy) {
    this.view.x += (dx * this.dpr) / this.view.zoom;
    this.view.y += (dy * this.dpr) / this.view.zoom;
    this.clampView();
    this.touch();
  }

  splitAt(x) {
    this.setSplit((x - this.splitFrom) / Math.max(1, this.splitTo - this.splitFrom));
  }

  setSplit(split) {
    this.view.split = clamp(split, 0, 1);
    this.touch();
  }

  /* While armed, the wheel zooms. */
  arm(armed) {
    this.armed = armed;
    this.element.classList.toggle("armed", armed);
    this.element.classList.remove("hinting");
  }

  peek(on) {
    const source = on ? this.choice.source : null;
    this.element.classList.toggle("peeking", source !== null);
    this.parts.chip.hidden = source === null;
    if (source) setText(this.parts.chip, source.label);
  }

  isFull() {
    return this.element.getRootNode().fullscreenElement === this.element;
  }

  toggleFull() {
    if (this.isFull()) document.exitFullscreen();
    else if (document.fullscreenEnabled) this.element.requestFullscreen();
  }

  /* -- drawing and reporting -- */

  measure() {
    const { stage, area } = this.parts;
    this.pane = { w: stage.clientWidth, h: stage.clientHeight };
    this.dpr = window.devicePixelRatio;
    this.strip.measure();
    area.style.width = `${this.strip.pane.w}px`;
    area.style.height = `${this.strip.pane.h}px`;
    this.redraw();
  }

  clampView() {
    const { view, frame, pane, dpr } = this;
    view.zoom = this.fitted ? fitZoom(frame, pane, dpr) : clampZoom(view.zoom, frame, pane, dpr);
    clampView(view, frame, pane, this.strip.pane, dpr);
  }

  redraw() {
    this.request ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.request = null;
    const { view, frame, pane, dpr, parts, layers } = this;
    if (!frame || !pane?.w) return;
    this.clampView();
    const place = placeFrame(view, frame, pane, dpr);
    this.splitFrom = Math.max(0, place.x);
    this.splitTo = Math.min(pane.w, place.x + frame.w * place.scale);
    this.splitX = Math.round((this.splitFrom + (this.splitTo - this.splitFrom) * view.split) * dpr) / dpr;
    layers.left.place(place, frame, pane, dpr, 0, this.splitX);
    layers.right.place(place, frame, pane, dpr, this.splitX, pane.w);
    layers.peek.place(place, frame, pane, dpr, 0, pane.w);
    parts.handle.style.transform = `translateX(${this.splitX}px)`;
    const part = this.strip.place(view, frame, dpr, this.zooming);
    parts.area.style.transform = `translate(${place.x - part.x}px, ${place.y - part.y}px)`;
    this.writeNumbers();
  }

  writeNumbers() {
    const { handle, hud, zooms } = this.parts;
    const percent = Math.round(this.view.split * 100);
    setAttribute(handle, "aria-valuenow", percent);
    setAttribute(handle, "aria-valuetext", `${percent} % left`);
    setText(hud, `${Math.round(this.view.zoom * 100)} %`);
    for (const button of zooms) {
      const zoom = button.dataset.zoom;
      setAttribute(button, "aria-pressed", zoom === "fit" ? this.fitted : !this.fitted && Number(zoom) === this.view.zoom);
    }
  }

  report() {
    clearTimeout(this.reportTimer);
    this.reportTimer = setTimeout(() => {
      const { choice, view, frame, pane, dpr } = this;
      const value = {
        ...choice.sides, zoom: view.zoom, split: view.split, box: visibleBox(placeFrame(view, frame, pane, dpr), frame, pane),
        touched: choice.touched, pick: choice.pick, names_hidden: choice.namesHidden,
      };
      const text = JSON.stringify(value);
      if (text === this.reported) return;
      this.reported = text;
      this.send("view", value);
    }, REPORT_DELAY_MS);
  }
}
