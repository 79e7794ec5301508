// Pixels onto canvases.

/** The brightness of RGBA bytes, as JPEG has it. */
export function greyOf({ data, width, height }) {
  const grey = new Uint8Array(width * height);
  for (let at = 0; at < grey.length; at++) {
    const [red, green, blue] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
    grey[at] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
  }
  return { data: grey, width, height, channels: 1 };
}

/** Paints grey, RGB or RGBA bytes. */
export function paintPixels(canvas, { data, width, height, channels }) {
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let k = 0; k < 3; k++) {
      image.data[4 * pixel + k] = data[channels * pixel + (channels === 1 ? 0 : k)];
    }
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
