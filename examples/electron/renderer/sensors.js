// A card for each modality: its switch, and where its images come from.
import { Camera } from './camera.js';

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
  #box = document.createElement('input');
  #source = document.createElement('p');
  #buttons = document.createElement('div');
  #cameraButton = null;
  #removeButton;

  /**
   * @param {{ name: string, kind: string }} modality
   * @param {{ changed(): void, openFolder(name: string): void, closeFolder(name: string): void,
   *   startCamera(sensor: Sensor): void }} on
   */
  constructor({ name, kind }, on) {
    this.name = name;
    Object.assign(this.#box, { type: 'checkbox', checked: true, name });
    this.#box.setAttribute('role', 'switch');
    this.#box.addEventListener('change', on.changed);
    const label = document.createElement('label');
    label.append(this.#box, name);
    this.#removeButton = button('Remove', `Remove the folder of ${name}`, () =>
      on.closeFolder(name),
    );
    this.#buttons.append(button('Folder…', `Folder of ${name}…`, () => on.openFolder(name)));
    // What other sensors measure no web camera gives.
    if (kind === 'rgb') {
      this.#cameraButton = button('Camera', `Camera for ${name}`, () =>
        this.camera === null ? on.startCamera(this) : this.camera.close(),
      );
      this.#buttons.append(this.#cameraButton);
    }
    this.#buttons.append(this.#removeButton);
    this.card.append(label, this.#source, this.#buttons);
  }

  get isOn() {
    return this.#box.checked;
  }

  toggle() {
    this.#box.click();
  }

  /** Hands over the camera's frames, one after another, each when what was done with the last is done. */
  async follow(use) {
    this.camera = await Camera.open();
    try {
      for (;;) {
        this.frame = await this.camera.next();
        if (this.frame === null) return;
        await use();
      }
    } finally {
      this.camera.close();
      this.camera = this.frame = null;
    }
  }

  /** Says what it sees. @param {string | undefined} folder @param {number} count its images there */
  show(folder, count, hasImage) {
    const end = folder?.split(/[\\/]/).slice(-2).join('/');
    const from = folder && `${count} ${count === 1 ? 'image' : 'images'} in ${end}`;
    const lacks = folder && !hasImage ? ', none of this name' : '';
    const source = this.camera ? 'a camera' : from ? from + lacks : 'no source';
    this.#source.textContent = this.isOn ? source : `off · ${source}`;
    this.#source.title = folder ?? '';
    this.card.classList.toggle('blind', !this.isOn || !(this.camera || hasImage));
    this.#removeButton.hidden = !folder;
    if (this.#cameraButton === null) return;
    if (this.camera) rename(this.#cameraButton, 'Stop', `Stop the camera of ${this.name}`);
    else rename(this.#cameraButton, 'Camera', `Camera for ${this.name}`);
  }
}
