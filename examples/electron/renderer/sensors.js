// A card for each modality: its switch, and where its images come from.
import { Camera } from './camera.js';
import { greyOf } from './paint.js';

/** Before a camera that went is looked for again. */
const RETRY_MILLISECONDS = 1000;

/** @param {string} text seen; a screen reader, which reads one after another, says `label` */
function rename(button, text, label) {
  button.textContent = text;
  button.setAttribute('aria-label', label);
}

function button(text, label, act) {
  const made = document.createElement('button');
  made.type = 'button';
  rename(made, text, label);
  made.addEventListener('click', act);
  return made;
}

/** One modality of the model. It sees with a camera, else with the images of a folder, else nothing. */
export class Sensor {
  name;
  card = document.createElement('li');
  /** The latest frame of the camera, or null. */
  frame = null;
  camera = null;
  /** Why its camera, which it goes on waiting for, gives nothing; null: it does, or there is none. */
  fault = null;
  #kind;
  #on;
  #isFollowing = false;
  #followed = Promise.resolve();
  #stop = () => {};
  #box = document.createElement('input');
  #source = document.createElement('p');
  #buttons = document.createElement('div');
  #cameraButton;
  #cameraChoice = document.createElement('select');
  #removeButton;

  /**
   * @param {{ name: string, kind: string }} modality
   * @param {{ changed(): void, openFolder(name: string): void, closeFolder(name: string): void,
   *   startCamera(sensor: Sensor): void, cameraOpened(): void }} on
   */
  constructor({ name, kind }, on) {
    this.name = name;
    this.#kind = kind;
    this.#on = on;
    Object.assign(this.#box, { type: 'checkbox', checked: true, name });
    this.#box.setAttribute('role', 'switch');
    this.#box.addEventListener('change', on.changed);
    const label = document.createElement('label');
    label.append(this.#box, name);
    this.#source.className = 'source';
    this.#removeButton = button('Remove', `Remove the folder of ${name}`, () =>
      on.closeFolder(name),
    );
    this.#cameraButton = button('Camera', `Camera for ${name}`, () =>
      this.#isFollowing ? this.stop() : on.startCamera(this),
    );
    // What is measured no web camera gives: an infrared one's brightness may be all that a model wants.
    if (kind !== 'rgb') this.#cameraButton.title = 'The brightness of its pictures';
    this.#cameraChoice.setAttribute('aria-label', `Which camera for ${name}`);
    this.#cameraChoice.hidden = true;
    this.#cameraChoice.addEventListener('change', async () => {
      const { value: id, selectedOptions } = this.#cameraChoice;
      localStorage.setItem(
        this.#key,
        JSON.stringify({ id, label: selectedOptions[0].textContent }),
      );
      if (!this.#isFollowing) return;
      await this.stop();
      on.startCamera(this);
    });
    this.#buttons.append(
      button('Folder…', `Folder of ${name}…`, () => on.openFolder(name)),
      this.#cameraButton,
      this.#removeButton,
    );
    this.card.append(label, this.#source, this.#cameraChoice, this.#buttons);
  }

  get #key() {
    return `camera of ${this.name}`;
  }

  get isOn() {
    return this.#box.checked;
  }

  toggle() {
    this.#box.click();
  }

  /** Offers these cameras; the one that was chosen last is, by its number or else its name. */
  offer(list) {
    const last = JSON.parse(localStorage.getItem(this.#key) ?? '{}');
    const chosen =
      list.find(({ id }) => id === last.id) ?? list.find(({ label }) => label === last.label);
    const options = list.map(({ id, label }) => new Option(label, id, false, id === chosen?.id));
    // One that is not there just now stays chosen: it may come back.
    if (last.id && !chosen) options.push(new Option(last.label, last.id, false, true));
    this.#cameraChoice.replaceChildren(...options);
    this.#cameraChoice.hidden = options.length < 2;
  }

  /**
   * Hands over the camera's frames, one after another, each when what was done with the last is done, until
   * it is stopped. Where the camera goes or falls silent, the sensor is dead until it is back.
   */
  follow(use) {
    this.#isFollowing = true;
    this.#followed = this.#follow(use).finally(() => {
      this.camera?.close();
      this.camera = this.frame = this.fault = null;
      this.#isFollowing = false;
    });
    return this.#followed;
  }

  async #follow(use) {
    const stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    this.camera = await Camera.open(this.#cameraChoice.value);
    this.#on.cameraOpened();
    while (this.#isFollowing) {
      const frame = (await this.camera?.next()) ?? null;
      if (!this.#isFollowing) return;
      const { isOpen } = this.camera ?? { isOpen: false };
      this.frame = frame === null || this.#kind === 'rgb' ? frame : greyOf(frame);
      this.fault = frame !== null ? null : isOpen ? 'gives no frames' : 'has gone';
      await use();
      if (isOpen) continue;
      await Promise.race([stopped, new Promise((done) => setTimeout(done, RETRY_MILLISECONDS))]);
      if (this.#isFollowing) {
        this.camera = await Camera.open(this.#cameraChoice.value).catch(() => null);
      }
    }
  }

  /** Ends following the camera; settles when that has. */
  stop() {
    this.#isFollowing = false;
    this.#stop();
    this.camera?.close();
    return this.#followed.catch(() => {});
  }

  /** Says what it sees. @param {string | undefined} folder @param {number} count its images there */
  show(folder, count, hasImage) {
    const end = folder?.split(/[\\/]/).slice(-2).join('/');
    const from = folder && `${count} ${count === 1 ? 'image' : 'images'} in ${end}`;
    const lacks = folder && !hasImage ? ', none of this name' : '';
    const camera = this.fault ? `dead: its camera ${this.fault}` : this.camera?.label;
    const source = camera ?? (from ? from + lacks : 'no source');
    this.#source.textContent = this.isOn ? source : `off · ${source}`;
    this.#source.title = folder ?? '';
    this.card.classList.toggle('blind', !this.isOn || !(this.camera || hasImage));
    this.card.classList.toggle('dead', this.fault !== null);
    this.#removeButton.hidden = !folder;
    if (this.#isFollowing) rename(this.#cameraButton, 'Stop', `Stop the camera of ${this.name}`);
    else rename(this.#cameraButton, 'Camera', `Camera for ${this.name}`);
  }
}
