import { UnsupportedImage } from './reader.js';

/** Formats that no reader takes, by how their files start: [place, bytes, name]. */
const STARTS: readonly (readonly [at: number, bytes: string, name: string])[] = [
  [0, 'GIF8', 'a GIF file'],
  [0, '8BPS', 'a Photoshop file (PSD)'],
  [0, 'PF\n', 'a PFM file'],
  [0, 'Pf\n', 'a PFM file'],
  [0, '\x76\x2f\x31\x01', 'an OpenEXR file'],
  [0, '#?RADIANCE', 'a Radiance file (HDR)'],
  [0, '#?RGBE', 'a Radiance file (HDR)'],
  [0, '\0\0\0\x0cjP  ', 'a JPEG 2000 file'],
  [0, '\xff\x4f\xff\x51', 'a JPEG 2000 file'],
  [0, '\0\0\0\x0cJXL ', 'a JPEG XL file'],
  [0, '\xff\x0a', 'a JPEG XL file'],
  [128, 'DICM', 'a DICOM file'],
  [344, 'n+1\0', 'a NIfTI file'],
  [0, 'SIMPLE  =', 'a FITS file'],
  [0, '\x89HDF\r\n\x1a\n', 'an HDF5 file'],
  [0, 'MATLAB 5.0', 'a MATLAB file'],
  [0, '%PDF', 'a PDF file'],
  [0, 'PK\x03\x04', 'a ZIP archive (of which .npz is one)'],
  [0, '\x1f\x8b', 'a gzip file'],
];

const HEIF_BRANDS: Readonly<Record<string, string>> = {
  avif: 'an AVIF file',
  avis: 'an AVIF file',
  heic: 'a HEIC file',
  heix: 'a HEIC file',
  hevc: 'a HEIC file',
  mif1: 'a HEIF file',
  msf1: 'a HEIF file',
};

/** What the file is, where it is whole but of no use here. */
export function refusedFormat(start: Buffer): UnsupportedImage | null {
  const found = STARTS.find(
    ([at, bytes]) => start.toString('latin1', at, at + bytes.length) === bytes,
  );
  if (found) return new UnsupportedImage(found[2]);
  // BM and two reserved fields of zeros.
  if (start.length >= 14 && start.toString('latin1', 0, 2) === 'BM' && start.readInt32LE(6) === 0) {
    return new UnsupportedImage('a BMP file');
  }
  if (/^P[1-7]\s/.test(start.toString('latin1', 0, 3))) return new UnsupportedImage('a PNM file');
  if (start.toString('latin1', 4, 8) === 'ftyp') {
    const brand = start.toString('latin1', 8, 12);
    return new UnsupportedImage(
      HEIF_BRANDS[brand] ?? `a file of the HEIF or video kind '${brand}'`,
    );
  }
  return refusedText(
    start
      .toString('utf8', 0, 1024)
      .replace(/^\uFEFF/, '')
      .trimStart(),
  );
}

function refusedText(text: string): UnsupportedImage | null {
  if (text.startsWith('version https://git-lfs')) {
    return new UnsupportedImage('a Git LFS pointer', 'Fetch the file itself: git lfs pull.');
  }
  if (/^<(!doctype html|html)/i.test(text)) {
    return new UnsupportedImage('a web page', 'Download the file itself.');
  }
  if (/^<(svg|\?xml|!--)/i.test(text) && /<svg/i.test(text)) {
    return new UnsupportedImage('an SVG file');
  }
  return null;
}
