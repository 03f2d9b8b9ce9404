/* A picture with a box on it: drag it, click where it should be, or move it with the arrow keys. Reports the middle of the box. */

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 0.02;
const REST_MS = 300;
const mountedPickers = new WeakMap();

class RegionPicker {
  constructor(element) {
    this.element = element;
    this.image = element.querySelector("img");
    this.box = element.querySelector(".box");
    this.timer = 0;
    const move = (event) => {
      const frame = this.image.getBoundingClientRect();
      this.put((event.clientX - this.grip.x - frame.left) / frame.width, (event.clientY - this.grip.y - frame.top) / frame.height);
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const box = this.box.getBoundingClientRect();
      const onBox = event.target === this.box;
      // A box that is caught at its edge does not jump to the pointer.
      this.grip = onBox
        ? { x: event.clientX - (box.left + box.width / 2), y: event.clientY - (box.top + box.height / 2) }
        : { x: 0, y: 0 };
      element.setPointerCapture(event.pointerId);
      element.classList.add("moving");
      move(event);
    });
    element.addEventListener("pointermove", (event) => {
      if (element.classList.contains("moving")) move(event);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      element.addEventListener(name, () => {
        if (!element.classList.contains("moving")) return;
        element.classList.remove("moving");
        this.tell();
      });
    }
    this.box.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      this.put(this.center[0] + step[0] * STEP, this.center[1] + step[1] * STEP);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.tell(), REST_MS);
    });
  }

  update(data) {
    this.size = data.size;
    this.region = data.region;
    if (this.image.src !== data.image) this.image.src = data.image;
    if (!this.element.classList.contains("moving")) this.put(...data.center);
  }

  put(x, y) {
    const share = [this.region[0] / this.size[0], this.region[1] / this.size[1]];
    this.center = [x, y].map((value, axis) => Math.min(Math.max(value, share[axis] / 2), 1 - share[axis] / 2));
    const [left, top] = this.center.map((value, axis) => 100 * (value - share[axis] / 2));
    Object.assign(this.box.style, { left: `${left}%`, top: `${top}%`, width: `${100 * share[0]}%`, height: `${100 * share[1]}%` });
    const [px, py] = [left, top].map((value, axis) => Math.round((value / 100) * this.size[axis]));
    this.box.setAttribute("aria-label", `Region at ${px}, ${py}. Arrow keys move it.`);
  }

  tell() {
    this.send("center", this.center);
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let picker = mountedPickers.get(parentElement);
  if (!picker) {
    picker = new RegionPicker(parentElement.querySelector(".region"));
    mountedPickers.set(parentElement, picker);
  }
  picker.send = setStateValue;
  picker.update(data);
}
