/* Brings a saved report to life: unpacks its pictures and mounts the viewer, which stands above in this script. */

// A whole number of bytes in base64, and small enough that unpacking never needs the memory of a second picture.
const SLICE_CHARACTERS = 4 * 262144;

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/* The address of a picture that the report holds, which then is no longer held as text. */
function unpack(name) {
  const element = document.getElementById(name);
  const text = element.textContent;
  const parts = [];
  for (let at = 0; at < text.length; at += SLICE_CHARACTERS) parts.push(bytesOf(text.slice(at, at + SLICE_CHARACTERS)));
  element.remove();
  return URL.createObjectURL(new Blob(parts, { type: "image/png" }));
}

async function showPictures() {
  const data = JSON.parse(document.getElementById("view").textContent);
  const urls = new Map();
  const parentElement = document.getElementById("viewer").shadowRoot;
  const report = (_, view) => document.body.classList.toggle("names-hidden", view.names_hidden);
  const show = () => {
    const pictures = data.pictures.map((picture) => {
      if (picture.url === null || urls.has(picture.url)) return { ...picture, url: urls.get(picture.url) ?? null };
      return { ...picture, url: null, state: "loading", message: "Unpacking" };
    });
    mount({ data: { ...data, pictures }, parentElement, setStateValue: report, setTriggerValue: () => {} });
  };
  const first = (picture) => Number(picture.id !== data.left && picture.id !== data.right);
  const ordered = data.pictures.filter((picture) => picture.url !== null).sort((a, b) => first(a) - first(b));
  show();
  for (const { url } of ordered) {
    if (urls.has(url)) continue;
    urls.set(url, unpack(url));
    show();
    // Between two pictures the browser may draw.
    await new Promise((done) => setTimeout(done));
  }
}

function offerCopying(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  block.append(button);
}

showPictures();
if (navigator.clipboard) document.querySelectorAll(".code").forEach(offerCopying);
window.addEventListener("beforeprint", () => document.querySelectorAll("main > details").forEach((details) => { details.open = true; }));
