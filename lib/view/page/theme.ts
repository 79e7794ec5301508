import { useEffect, useState } from 'preact/hooks';

/** Colours of what is drawn rather than styled. */
export interface Theme {
  dark: boolean;
  text: string;
  soft: string;
  line: string;
  accent: readonly [number, number, number];
  panel: readonly [number, number, number];
  curves: readonly string[];
}

/** Okabe and Ito's, which all kinds of colour vision tell apart; lighter ones on a dark ground. */
const LIGHT: Theme = {
  dark: false,
  text: '#1c2127',
  soft: '#5a6470',
  line: '#e3e7ec',
  accent: [0, 98, 168],
  panel: [255, 255, 255],
  curves: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#8a6d00', '#56b4e9', '#555555', '#7b3294'],
};
const DARK: Theme = {
  dark: true,
  text: '#e8ebef',
  soft: '#9aa5b1',
  line: '#2b313a',
  accent: [86, 180, 233],
  panel: [27, 31, 38],
  curves: ['#56b4e9', '#ff9a4d', '#2fd0a0', '#f0a6cf', '#f0e442', '#9db8ff', '#c8c8c8', '#d39bff'],
};

/** Dashes tell curves apart as well as colours do. */
export const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [4, 2]];

const query = matchMedia('(prefers-color-scheme: dark)');

export function useTheme(): Theme {
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const change = () => setDark(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return dark ? DARK : LIGHT;
}

/** The accent at a strength over a panel, and black or white for text on it, whichever is read better. */
export function shade({ accent, panel }: Theme, strength: number): { ground: string; ink: string } {
  const mixed = panel.map((from, i) => Math.round(from + (accent[i]! - from) * strength));
  const [red, green, blue] = mixed.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return { ground: `rgb(${mixed.join(' ')})`, ink: luminance > 0.179 ? '#000' : '#fff' };
}
