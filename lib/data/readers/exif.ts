/** The orientation that EXIF data (a small TIFF) gives: 1 to 8; 1 where it gives none. */
export function exifOrientation(exif: Buffer): number {
  const order = exif.toString('latin1', 0, 2);
  if (exif.length < 8 || (order !== 'II' && order !== 'MM')) return 1;
  const little = order === 'II';
  const short = (at: number) => (little ? exif.readUInt16LE(at) : exif.readUInt16BE(at));
  const directory = little ? exif.readUInt32LE(4) : exif.readUInt32BE(4);
  if (directory + 2 > exif.length) return 1;
  for (let k = 0; k < short(directory); k++) {
    const entry = directory + 2 + 12 * k;
    if (entry + 12 > exif.length) return 1;
    if (short(entry) === ORIENTATION_TAG) return validOrientation(short(entry + 8));
  }
  return 1;
}

const ORIENTATION_TAG = 0x0112;

/** What is none of the eight says nothing. */
export function validOrientation(value: number | undefined): number {
  return value !== undefined && value >= 1 && value <= 8 ? value : 1;
}
