/* "Save report" is a plain download, so that the server can send the file piece by piece; "Copy link" needs the browser's address. */

const COPIED_MS = 2000;

async function copy(text, parent) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // A browser has no clipboard for addresses without TLS, other than its own machine's.
  const field = document.createElement("textarea");
  field.value = text;
  parent.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

export default function ({ data, parentElement }) {
  const report = parentElement.querySelector("a");
  const link = parentElement.querySelector("button");
  report.href = data.report;
  link.hidden = data.job === null;
  link.onclick = async () => {
    const address = new URL(location.href);
    address.search = new URLSearchParams({ job: data.job });
    await copy(address.href, link.parentElement);
    link.textContent = "Link copied";
    setTimeout(() => { link.textContent = "Copy link"; }, COPIED_MS);
  };
}
