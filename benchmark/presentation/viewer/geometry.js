/* Coordinates. `frame`: the size all pictures share, in pixels of the original. `pane`: the stage or a tile, in CSS
   pixels. `view`: the frame point {x, y} that the person looks at and `zoom`, device pixels per frame pixel, so that
   1 is "100 %" on every screen. The stage has that point in its middle, unless the picture then would leave room at an edge. `place`: where the frame's top left corner lies in a pane, and CSS pixels per frame pixel. */

const MAX_ZOOM = 32;

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function fitZoom(frame, pane, dpr) {
  return Math.min(pane.w / frame.w, pane.h / frame.h) * dpr;
}

function clampZoom(zoom, frame, pane, dpr) {
  return clamp(zoom, Math.min(1, fitZoom(frame, pane, dpr)), Math.max(MAX_ZOOM, fitZoom(frame, pane, dpr)));
}

/* The middle of a pane that shows `span` of `length` pixels: never beyond an edge, and centred if all of it is seen. */
function clampMiddle(middle, length, span) {
  return length <= span ? length / 2 : clamp(middle, span / 2, length - span / 2);
}

/* Keeps the point within reach of the stage; where the stage shows all of the frame, within reach of the smaller tile,
   whose part of the picture can so still be moved. */
function clampView(view, frame, pane, tile, dpr) {
  const scale = view.zoom / dpr;
  const reach = (length, stage, part) => (length * scale <= stage ? part : stage) / scale;
  view.x = clampMiddle(view.x, frame.w, reach(frame.w, pane.w, tile.w));
  view.y = clampMiddle(view.y, frame.h, reach(frame.h, pane.h, tile.h));
}

/* Corners fall on whole device pixels: at 100 % each picture pixel then is exactly one screen pixel. */
function placeFrame(view, frame, pane, dpr) {
  const scale = view.zoom / dpr;
  const middle = { x: clampMiddle(view.x, frame.w, pane.w / scale), y: clampMiddle(view.y, frame.h, pane.h / scale) };
  const snap = (value) => Math.round(value * dpr) / dpr;
  return { scale, x: snap(pane.w / 2 - middle.x * scale), y: snap(pane.h / 2 - middle.y * scale) };
}

/* Zooms so that the frame point under `at` (CSS pixels in the pane) stays where it is. */
function zoomAt(view, zoom, at, frame, pane, dpr) {
  const place = placeFrame(view, frame, pane, dpr);
  const point = { x: (at.x - place.x) / place.scale, y: (at.y - place.y) / place.scale };
  view.zoom = clampZoom(zoom, frame, pane, dpr);
  const scale = view.zoom / dpr;
  view.x = point.x + (pane.w / 2 - at.x) / scale;
  view.y = point.y + (pane.h / 2 - at.y) / scale;
}

/* What a pane shows of the frame: left, top, right, bottom in frame pixels. */
function visibleBox(place, frame, pane) {
  const x = (value) => Math.round(clamp((value - place.x) / place.scale, 0, frame.w));
  const y = (value) => Math.round(clamp((value - place.y) / place.scale, 0, frame.h));
  return [x(0), y(0), x(pane.w), y(pane.h)];
}
