/** Milliseconds without a frame after which a camera is taken to be dead. */
const STALL_MILLISECONDS = 2000;

/** The cameras that there are. Their names are told once one was opened. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind }) => kind === 'videoinput')
    .map(({ deviceId, label }, at) => ({ id: deviceId, label: label || `camera ${at + 1}` }));
}

/** A camera: whoever asks gets its latest frame, and those that came meanwhile are dropped. */
export class Camera {
  /** What the system calls it. */
  label = '';
  /** Frames that were taken a second, and how many nobody took. */
  rate = 0;
  dropped = 0;
  #takenAt = 0;
  #video = document.createElement('video');
  #canvas = document.createElement('canvas');
  #isOpen = true;
  /** Whether there is a frame that was not taken yet, and who waits for one. */
  #isFresh = false;
  #wake = () => {};
  #presented = 0;

  /** Asks it for about 640 × 480. @param {string | undefined} id undefined: any */
  static async open(id) {
    const camera = new Camera();
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    const video = { ...size, ...(id && { deviceId: { exact: id } }) };
    camera.#video.srcObject = await navigator.mediaDevices.getUserMedia({ video });
    camera.#video.muted = true;
    for (const track of camera.#tracks()) {
      camera.label = track.label;
      // Somebody may pull it out.
      track.addEventListener('ended', () => camera.close());
    }
    camera.#video.requestVideoFrameCallback(camera.#watch);
    await camera.#video.play();
    return camera;
  }

  #watch = (_now, { presentedFrames }) => {
    const unseen = this.#presented === 0 ? 0 : presentedFrames - this.#presented - 1;
    this.dropped += unseen + (this.#isFresh ? 1 : 0);
    this.#presented = presentedFrames;
    this.#isFresh = true;
    this.#wake();
    this.#video.requestVideoFrameCallback(this.#watch);
  };

  get isOpen() {
    return this.#isOpen;
  }

  /** Waits for a frame that was not taken yet: RGBA; null where the camera has stopped, or gives none. */
  async next() {
    if (this.#isOpen && !this.#isFresh) {
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, STALL_MILLISECONDS);
      });
    }
    if (!this.#isOpen || !this.#isFresh) return null;
    this.#isFresh = false;
    const now = performance.now();
    const rate = this.#takenAt === 0 ? 0 : 1000 / (now - this.#takenAt);
    this.rate = this.rate === 0 ? rate : 0.9 * this.rate + 0.1 * rate;
    this.#takenAt = now;

    const { videoWidth: width, videoHeight: height } = this.#video;
    Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(this.#video, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height, channels: 4 };
  }

  close() {
    this.#isOpen = false;
    for (const track of this.#tracks()) track.stop();
    this.#wake();
  }

  #tracks() {
    return this.#video.srcObject.getTracks();
  }
}
