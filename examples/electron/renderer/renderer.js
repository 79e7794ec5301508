// The page: a panel for each sensor with its switch, one for the prediction, and a legend.
const { start, predict, onStatus } = window.m3l;

const PLAY_MILLISECONDS = 1500;
const list = new Intl.ListFormat('en-GB');
const [panels, legend, status, next, play] = ['panels', 'legend', 'status', 'next', 'play'].map(
  (id) => document.getElementById(id),
);

/** Paints a picture of RGB bytes. */
function paint(canvas, { width, height, pixels }) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    image.data.set(pixels.subarray(from, from + 3), to);
    image.data[to + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function addPanel(kind, ...caption) {
  const figure = document.createElement('figure');
  const canvas = document.createElement('canvas');
  const figcaption = document.createElement('figcaption');
  figure.className = kind;
  figcaption.append(...caption);
  figure.append(canvas, figcaption);
  panels.append(figure);
  return { figure, canvas };
}

function addSensor(name) {
  const box = document.createElement('input');
  Object.assign(box, { type: 'checkbox', checked: true, name });
  const label = document.createElement('label');
  label.append(box, name);
  return { ...addPanel('sensor', label), box };
}

function addClass(name, colour) {
  const item = document.createElement('li');
  const swatch = document.createElement('canvas');
  const share = document.createElement('span');
  paint(swatch, { width: 1, height: 1, pixels: Uint8Array.from(colour) });
  item.append(swatch, name, share);
  legend.append(item);
  return (value) => {
    item.classList.toggle('none', value === 0);
    share.textContent = value === 0 ? '' : `${Math.max(1, Math.round(100 * value))} %`;
  };
}

async function main() {
  onStatus((text) => {
    status.textContent = text;
  });
  const { modalities, classes, colours, scenes } = await start();
  const sensors = modalities.map(addSensor);
  const time = document.createElement('output');
  time.id = 'milliseconds';
  const predicted = addPanel('prediction', 'prediction', time);
  const showShare = classes.map((name, index) => addClass(name, colours[index]));

  let scene = 0;
  let running = false;
  let outdated = false;
  /** Shows what is asked for now; while a prediction runs, more questions become one. */
  async function show() {
    outdated = true;
    if (running) return;
    running = true;
    while (outdated) {
      outdated = false;
      const missing = sensors.flatMap(({ box }, index) => (box.checked ? [] : [index]));
      const answer = await predict(scene, missing);
      sensors.forEach(({ figure, canvas, box }, index) => {
        paint(canvas, answer.pictures[index]);
        figure.classList.toggle('off', !box.checked);
        // Somebody has to look.
        box.disabled = box.checked && missing.length === sensors.length - 1;
      });
      paint(predicted.canvas, answer.prediction);
      time.value = `${answer.milliseconds.toFixed(1)} ms`;
      for (const [index, showOne] of showShare.entries()) showOne(answer.shares[index]);
      const seen = modalities.filter((_, index) => !missing.includes(index));
      status.textContent = `room ${scene + 1} of ${scenes}, seen by ${list.format(seen)}`;
    }
    running = false;
  }

  function move() {
    scene = (scene + 1) % scenes;
    show().catch(fail);
  }
  let timer = null;
  for (const { box } of sensors) box.addEventListener('change', () => show().catch(fail));
  next.addEventListener('click', move);
  play.addEventListener('click', () => {
    timer = timer === null ? setInterval(move, PLAY_MILLISECONDS) : (clearInterval(timer) ?? null);
    play.textContent = timer === null ? 'Play' : 'Pause';
  });
  await show();
  next.disabled = play.disabled = false;
}

function fail(error) {
  status.className = 'failed';
  status.textContent = error.message.replace(/^Error invoking remote method '\w+': (Error: )?/, '');
}

main().catch(fail);
