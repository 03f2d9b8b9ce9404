/* Mouse, wheel, touch and keyboard. A wheel zooms only after a click into the picture (`armed`) or with Ctrl, so that
   the page can be scrolled past the viewer; one finger scrolls the page, two fingers zoom and move the picture. */

const PAN_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PAN_STEP_CSS_PX = 48;
const KEY_ZOOM = 1.25;
const WHEEL_ZOOM = 0.0016;
const PINCH_ZOOM = 0.01;
const LINE_CSS_PX = 16;
const HINT_MS = 1400;

function listen(compare, signal) {
  const { stage, handle } = compare.parts;
  listenToDrags(compare, stage, handle, signal);
  listenToWheel(compare, stage, signal);
  listenToTouch(compare, stage, signal);
  listenToKeys(compare, handle, signal);
}

function pointIn(element, event) {
  const box = element.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function listenToDrags(compare, stage, handle, signal) {
  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    const onHandle = handle.contains(event.target);
    if (event.button !== 0 || (event.pointerType === "touch" && !onHandle && !compare.isFull())) return;
    const origin = stage.getBoundingClientRect();
    const grip = onHandle ? pointIn(stage, event).x - compare.splitX : 0;
    drag = { id: event.pointerId, onHandle, left: origin.left + grip, x: event.clientX, y: event.clientY };
    stage.setPointerCapture(event.pointerId);
    if (!onHandle) compare.arm(true);
    compare.element.classList.add(onHandle ? "splitting" : "panning");
  }, { signal });
  stage.addEventListener("pointermove", (event) => {
    if (drag === null || drag.id !== event.pointerId || compare.pinching) return;
    if (drag.onHandle) compare.splitAt(event.clientX - drag.left);
    else compare.pan(drag.x - event.clientX, drag.y - event.clientY);
    drag.x = event.clientX;
    drag.y = event.clientY;
  }, { signal });
  const end = (event) => {
    if (drag === null || drag.id !== event.pointerId) return;
    drag = null;
    compare.element.classList.remove("splitting", "panning");
  };
  stage.addEventListener("pointerup", end, { signal });
  stage.addEventListener("pointercancel", end, { signal });
  const { viewer } = compare.parts;
  viewer.addEventListener("focusout", (event) => {
    if (!viewer.contains(event.relatedTarget)) compare.arm(false);
  }, { signal });
}

function listenToWheel(compare, stage, signal) {
  let hint;
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !compare.armed && !compare.isFull()) {
      compare.element.classList.add("hinting");
      clearTimeout(hint);
      hint = setTimeout(() => compare.element.classList.remove("hinting"), HINT_MS);
      return;
    }
    event.preventDefault();
    const delta = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_CSS_PX : 1);
    const fine = event.ctrlKey && Math.abs(delta) < 50;
    compare.zoomBy(Math.exp(-clamp(delta, -240, 240) * (fine ? PINCH_ZOOM : WHEEL_ZOOM)), pointIn(stage, event));
  }, { signal, passive: false });
}

function listenToTouch(compare, stage, signal) {
  let last = null;
  const read = (touches) => {
    const [a, b] = [pointIn(stage, touches[0]), pointIn(stage, touches[1])];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, gap: Math.hypot(a.x - b.x, a.y - b.y) };
  };
  stage.addEventListener("touchstart", (event) => {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    compare.pinching = true;
    last = read(event.touches);
  }, { signal, passive: false });
  stage.addEventListener("touchmove", (event) => {
    if (event.touches.length !== 2 || last === null) return;
    event.preventDefault();
    const now = read(event.touches);
    compare.pan(last.x - now.x, last.y - now.y);
    compare.zoomBy(now.gap / Math.max(1, last.gap), now);
    last = now;
  }, { signal, passive: false });
  const end = (event) => {
    if (event.touches.length < 2) last = null;
    if (event.touches.length === 0) compare.pinching = false;
  };
  stage.addEventListener("touchend", end, { signal });
  stage.addEventListener("touchcancel", end, { signal });
}

function splitKey(key, split, coarse) {
  const step = coarse ? 0.1 : 0.01;
  if (key === "ArrowLeft" || key === "ArrowDown") return split - step;
  if (key === "ArrowRight" || key === "ArrowUp") return split + step;
  if (key === "PageDown") return split - 0.1;
  if (key === "PageUp") return split + 0.1;
  if (key === "Home") return 0;
  if (key === "End") return 1;
  return null;
}

/* Returns whether the key meant something to the viewer. */
function pressKey(compare, event, onHandle) {
  const { key } = event;
  const split = onHandle ? splitKey(key, compare.view.split, event.shiftKey) : null;
  if (split !== null) compare.setSplit(split);
  else if (key in PAN_KEYS) compare.pan(...PAN_KEYS[key].map((direction) => direction * PAN_STEP_CSS_PX));
  else if (key === "+" || key === "=") compare.zoomBy(KEY_ZOOM);
  else if (key === "-" || key === "_") compare.zoomBy(1 / KEY_ZOOM);
  else if (key === "0") compare.setZoom("fit");
  else if (key >= "1" && key <= "9") compare.chooseNumber(Number(key));
  else if (key === " ") compare.peek(true);
  else if (key === "f" || key === "F") compare.toggleFull();
  else if (key === "?") compare.parts.keys.showPopover();
  else if (key === "Escape") compare.arm(false);
  else return false;
  return true;
}

function listenToKeys(compare, handle, signal) {
  compare.element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (compare.parts.keys.contains(target)) return;
    if (target.matches("select")) return;
    if (target.matches("button") && (event.key === " " || event.key in PAN_KEYS)) return;
    if (!pressKey(compare, event, target === handle)) return;
    event.stopPropagation();
    if (event.key !== "Escape") event.preventDefault();
  }, { signal });
  compare.element.addEventListener("keyup", (event) => {
    if (event.key === " ") compare.peek(false);
  }, { signal });
  compare.element.addEventListener("focusout", () => compare.peek(false), { signal });
}
