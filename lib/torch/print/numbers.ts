/** Numbers as Python formats them: what lies in the middle goes to the even digit. */

/** `f'{value:.{digits}f}'` */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  // Beyond this size toFixed gives an exponent, and every number is whole.
  if (magnitude >= 1e21) {
    return `${sign}${BigInt(magnitude)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
  }
  // The digits of a number are finite: a tie shows all of them.
  const exact = magnitude.toFixed(Math.min(100, digits + TIE_DIGITS));
  if (!isTie(exact, digits) || !isEven(exact, digits)) return sign + magnitude.toFixed(digits);
  return sign + exact.slice(0, lengthTo(digits, exact.indexOf('.')));
}

/** `f'{value:.{digits}e}'` */
export function exponential(value: number, digits: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  const [exact = '', power = ''] = magnitude
    .toExponential(Math.min(100, digits + TIE_DIGITS))
    .split('e');
  const tie = isTie(exact, digits) && isEven(exact, digits);
  const [mantissa = '', exponent = power] = tie
    ? [exact.slice(0, lengthTo(digits, 1)), power]
    : magnitude.toExponential(digits).split('e');
  return `${sign}${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}

/** A tie at the last digit printed has a 5, then zeros, and no double has more digits than these hide. */
const TIE_DIGITS = 60;

function isTie(exact: string, digits: number): boolean {
  const rest = exact.slice(exact.indexOf('.') + 1 + digits);
  return /^50*$/.test(rest);
}

function isEven(exact: string, digits: number): boolean {
  const point = exact.indexOf('.');
  const last = digits === 0 ? exact[point - 1] : exact[point + digits];
  return Number(last) % 2 === 0;
}

/** Characters up to so many digits after the point. */
function lengthTo(digits: number, point: number): number {
  return digits === 0 ? point : point + 1 + digits;
}

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}
