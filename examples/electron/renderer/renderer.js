// The page: what the sensors see, what the model says, and what it says without one of them.
import { cameras } from './camera.js';
import { clear, paintClasses, paintPixels } from './paint.js';
import { Sensor } from './sensors.js';

const { m3l } = window;
const PLAY_MILLISECONDS = 500;
const list = new Intl.ListFormat('en-GB');
const oneOf = new Intl.ListFormat('en-GB', { type: 'disjunction' });
const named = (id) => document.getElementById(id);
const [picture, prediction, error, status] = ['picture', 'prediction', 'error', 'status'].map(
  named,
);

/** The run that is open: its modalities and classes. */
let model = null;
let sensors = [];
/** Of the folders' images: names, and which modalities have one. */
let frames = [];
let folders = {};
let at = 0;
/** The images of a frame, and of which; the modality whose image lies underneath. */
let pictures = {};
let picturesOf = null;
let underneath = null;
/** What the prediction that is shown was made of, for export; null where none is. */
let request = null;
let playing = false;

/** @param {'action' | 'look'} of an action's stays until the next action, a look's until the next look */
function fail(text, of) {
  // A camera may fail with every frame, and a screen reader need say it once.
  if (error.textContent !== text) error.textContent = text;
  error.hidden = false;
  error.dataset.of = of;
}

/** What something that takes long is busy with and how far it is, or has done. */
function tell(text, { done, total } = {}) {
  const all = total === undefined ? text : `${text}: ${done} of ${total}`;
  named('activity').textContent = named('activity').title = all;
  named('progress').hidden = total === undefined;
  if (total !== undefined) Object.assign(named('progress'), { max: total, value: done });
}

/** Does what somebody asked for, and tells what it gives, or why it failed. */
async function act(action) {
  error.hidden = true;
  let done;
  try {
    done = await action();
  } catch ({ message }) {
    fail(message, 'action');
  }
  tell(done ?? '');
}

/** While it runs, more calls become one. All resolve when it is done. */
function latest(work) {
  let asked = false;
  let running = null;
  const run = async () => {
    while (asked) {
      asked = false;
      await work();
    }
  };
  return () => {
    asked = true;
    running ??= run().finally(() => {
      running = null;
    });
    return running;
  };
}

const show = latest(async () => {
  const asked = model;
  if (asked === null) return;
  try {
    await look();
    if (error.dataset.of === 'look') error.hidden = true;
  } catch ({ message }) {
    // Another run may have been opened meanwhile.
    if (model !== asked) return;
    request = null;
    for (const showShare of model.showShares) showShare(0);
    clear(prediction);
    prediction.setAttribute('aria-label', 'No prediction');
    status.textContent = place();
    named('milliseconds').textContent = '';
    fail(message, 'look');
  }
});

const place = () => (frames[at] ? `${at + 1} of ${frames.length}: ${frames[at].name}` : '');

/** Whether a sensor is looked at: one whose camera is dead is not, whatever its folder has. */
const isLookedAt = ({ isOn, fault }) => isOn && fault === null;

const without = () => sensors.filter((sensor) => !isLookedAt(sensor)).map(({ name }) => name);

async function look() {
  const frame = frames[at];
  if (picturesOf !== frame) {
    pictures = frame === undefined ? {} : await m3l.pictures(at);
    picturesOf = frame;
  }
  const cameras = sensors.filter((sensor) => sensor.frame !== null);
  const camera = Object.fromEntries(cameras.map((sensor) => [sensor.name, sensor.frame]));
  showSensors({ ...pictures, ...camera });

  const seeing = sensors.filter(
    (sensor) => isLookedAt(sensor) && (camera[sensor.name] ?? pictures[sensor.name]),
  );
  if (seeing.length === 0) {
    throw new Error(
      `Nobody sees anything. The model needs one of its sensors: switch on ${oneOf.format(sensors.map(({ name }) => name))}, or give it a folder or a camera.`,
    );
  }
  for (const { name } of seeing) {
    if (camera[name] || !pictures[name].error) continue;
    throw new Error(`${pictures[name].error} Switch ${name} off to go on without it.`);
  }

  const asked = { frame: at, name: frame?.name ?? 'camera', camera, without: without() };
  showPrediction(await m3l.predict(asked));
  request = asked;
  const parts = [`seen by ${list.format(seeing.map(({ name }) => name))}`];
  if (seeing.some(({ name }) => !camera[name])) parts.unshift(place());
  for (const { camera: one } of cameras) {
    if (one) parts.push(`${one.rate.toFixed(1)} a second, ${one.dropped} dropped`);
  }
  for (const { name, fault } of sensors) if (fault !== null) parts.push(`${name} is dead`);
  // A screen reader need not say what moves.
  status.setAttribute('aria-live', playing || cameras.length > 0 ? 'off' : 'polite');
  status.textContent = parts.join(' · ');
}

/** The picture underneath, and what each sensor has. @param {Record<string, object>} images */
function showSensors(images) {
  for (const sensor of sensors) {
    const count = frames.filter(({ modalities }) => modalities.includes(sensor.name)).length;
    sensor.show(folders[sensor.name], count, images[sensor.name] !== undefined);
  }
  const usable = sensors.map(({ name }) => name).filter((name) => images[name]?.data);
  const name = usable.includes(underneath) ? underneath : usable[0];
  for (const radio of named('underneath').querySelectorAll('input')) {
    radio.disabled = !usable.includes(radio.value);
    radio.checked = radio.value === name;
  }
  if (name === undefined) clear(picture);
  else paintPixels(picture, images[name]);
  picture.setAttribute('aria-label', name === undefined ? 'No picture' : `What ${name} sees`);
}

function showPrediction(answer) {
  const { found, milliseconds } = answer;
  const colours = model.classes.map(({ colour }) => colour);
  paintClasses(prediction, answer, colours);
  const shares = new Map(found.map(({ index, share }) => [index, share]));
  for (const [index, showShare] of model.showShares.entries()) showShare(shares.get(index) ?? 0);
  const largest = found.slice(0, 5).map(({ name, share }) => `${name} ${percent(share)}`);
  prediction.setAttribute('aria-label', `Prediction: ${list.format(largest)}`);
  named('milliseconds').textContent = `${milliseconds.toFixed(1)} ms a frame`;
}

const percent = (share) =>
  share < 0.001 ? '< 0.1 %' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function addClass({ name, colour }) {
  const item = document.createElement('li');
  const share = document.createElement('span');
  item.style.setProperty('--colour', `rgb(${colour})`);
  item.append(name, share);
  named('legend').append(item);
  return (value) => {
    item.classList.toggle('none', value === 0);
    item.style.setProperty('--share', value);
    share.textContent = value === 0 ? '' : percent(value);
  };
}

function addUnderneath({ name }) {
  const label = document.createElement('label');
  const radio = document.createElement('input');
  Object.assign(radio, { type: 'radio', name: 'underneath', value: name });
  radio.addEventListener('change', () => {
    underneath = name;
    show();
  });
  label.append(radio, name);
  named('underneath').append(label);
}

/** What a run takes and tells, once it is open; null where nobody chose one. */
async function open(opened) {
  if (opened === null) return;
  for (const sensor of sensors) sensor.stop();
  for (const id of ['sensors', 'legend', 'underneath']) named(id).replaceChildren();
  const on = {
    ...{ changed: () => act(show), openFolder, closeFolder, startCamera },
    cameraOpened: offerCameras,
  };
  sensors = opened.modalities.map((modality) => new Sensor(modality, on));
  named('sensors').append(...sensors.map(({ card }) => card));
  opened.modalities.forEach(addUnderneath);
  await offerCameras();
  model = { ...opened, showShares: opened.classes.map(addClass) };
  named('run').textContent = opened.run;
  document.body.classList.remove('empty');
  // The frames that were there are the other run's.
  if (opened.frames.length === 0) frames = [];
  await take(opened.rooms && frames.length === 0 ? await m3l.rooms() : opened);
}

/** The frames of folders, paired; null where nobody chose one. */
async function take(taken) {
  if (taken === null) return;
  const { name } = frames[at] ?? {};
  ({ frames, folders } = taken);
  at = Math.max(
    0,
    frames.findIndex((frame) => frame.name === name),
  );
  const several = frames.length > 1;
  for (const id of ['previous', 'play', 'next']) named(id).disabled = !several;
  named('format').querySelector('[value=all]').disabled = frames.length === 0;
  await show();
  const given = Object.keys(folders).filter((modality) => folders[modality] !== null);
  const lone = frames.filter(({ modalities }) => modalities.length < given.length).length;
  if (lone > 0) {
    throw new Error(
      `${lone} of ${frames.length} frames lack an image of ${oneOf.format(given)}. Images belong together by their names, such as rgb/001.png and depth/001.png.`,
    );
  }
}

const openFolder = (name) => act(async () => take(await m3l.openFolder(name)));
async function offerCameras() {
  const list = await cameras();
  for (const sensor of sensors) sensor.offer(list);
}

const closeFolder = (name) => act(async () => take(await m3l.closeFolder(name)));

function startCamera(sensor) {
  return act(async () => {
    await sensor.follow(show).catch(({ name, message }) => {
      throw new Error(
        `No camera for ${sensor.name}: ${message || name}. Connect one and allow the app to use it.`,
      );
    });
    await show();
  });
}

function move(by) {
  if (frames.length < 2) return;
  at = (at + by + frames.length) % frames.length;
  return show();
}

async function play() {
  playing = !playing;
  named('play').textContent = playing ? 'Pause' : 'Play';
  while (playing) {
    const pause = new Promise((resolve) => setTimeout(resolve, PLAY_MILLISECONDS));
    await Promise.all([move(1), pause]);
  }
}

async function save() {
  const format = named('format').value;
  if (format === 'all') return saveAll();
  if (request === null)
    throw new Error('There is no prediction to export: no sensor sees anything.');
  return m3l.save(format, request);
}

/** With a button in the place of the export's that stops it. */
async function saveAll() {
  const buttons = [named('save'), named('stop')];
  const swap = () => {
    for (const button of buttons) button.hidden = !button.hidden;
  };
  swap();
  try {
    return await m3l.save('all', { without: without() });
  } finally {
    swap();
  }
}

m3l.onStatus(({ text, ...progress }) => tell(text, progress));
navigator.mediaDevices.addEventListener('devicechange', offerCameras);
named('open-run').addEventListener('click', () => act(async () => open(await m3l.openRun())));
named('previous').addEventListener('click', () => act(() => move(-1)));
named('next').addEventListener('click', () => act(() => move(1)));
named('play').addEventListener('click', play);
named('stop').addEventListener('click', () => m3l.stopSaving());
named('save').addEventListener('click', () => act(save));
named('opacity').addEventListener('input', ({ target }) => {
  prediction.style.opacity = target.value / 100;
});
document.addEventListener('keydown', ({ key, target, ctrlKey, altKey, metaKey }) => {
  if (ctrlKey || altKey || metaKey || target.matches('select, [type=range], [type=radio]')) return;
  if (key === 'ArrowLeft') act(() => move(-1));
  if (key === 'ArrowRight') act(() => move(1));
  sensors[Number(key) - 1]?.toggle();
});

act(async () => {
  tell('starting');
  await open(await m3l.start());
});
