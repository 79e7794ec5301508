// Pixels onto canvases.

/** Paints RGB or RGBA bytes. */
export function paintPixels(canvas, { data, width, height, channels }) {
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let k = 0; k < 3; k++) image.data[4 * pixel + k] = data[channels * pixel + k];
    image.data[4 * pixel + 3] = 255;
  }
  put(canvas, image);
}

/** Paints classes in their colours, each `[red, green, blue]`. */
export function paintClasses(canvas, { classes, width, height }, colours) {
  const image = new ImageData(width, height);
  const pixels = new DataView(image.data.buffer);
  const words = colours.map(
    ([red, green, blue]) => ((red << 24) | (green << 16) | (blue << 8) | 255) >>> 0,
  );
  for (let at = 0; at < classes.length; at++) pixels.setUint32(4 * at, words[classes[at]]);
  put(canvas, image);
}

export function clear(canvas) {
  canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
}

function put(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext('2d').putImageData(image, 0, 0);
}
