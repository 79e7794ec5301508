import { describe, expect, it } from 'vitest';
import { createProgress, duration } from '../../dist/cli/progress.js';
import { formatTable, percent } from '../../dist/cli/table.js';
import { fitted, printable, widthOf } from '../../dist/cli/width.js';

/** A stream that remembers, and a clock that is moved by hand. */
function fake(isTTY: boolean, columns = 110) {
  let text = '';
  let time = 0;
  return {
    stream: { isTTY, columns, write: (part: string) => (text += part) },
    now: () => time,
    wait: (milliseconds: number) => {
      time += milliseconds;
    },
    text: () => text,
  };
}

describe('progress', () => {
  it('01 draws a bar with the time left on a terminal', () => {
    const { stream, now, wait, text } = fake(true);
    const progress = createProgress({ label: 'm3l', total: 100, dumb: false, stream, now });
    wait(10_000);
    progress.update({ done: 50, loss: 1.25, imagesPerSecond: 12, robustMeanIoU: 0.5 });
    expect(text()).toContain(' 50/100  ETA 10 s  loss 1.250  12.0 img/s  robust mIoU 50.0');
    expect(text()).toContain('█');
    progress.note('a note');
    progress.end();
    expect(text().endsWith('\n')).toBe(true);
  });

  it('02 writes a line now and then elsewhere', () => {
    const { stream, now, wait, text } = fake(false);
    const progress = createProgress({ label: 'm3l', total: 1000, stream, now });
    for (let done = 1; done <= 1000; done++) {
      wait(10);
      progress.update({ done, loss: 1 });
    }
    progress.end();
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(10);
    expect(lines.at(-1)).toContain('1000/1000');
    expect(text()).not.toContain('\r');
  });

  it('03 counts only the steps of this process in the time left', () => {
    const { stream, now, wait, text } = fake(true);
    const progress = createProgress({
      label: 'm3l',
      total: 100,
      started: 90,
      dumb: false,
      stream,
      now,
    });
    wait(5000);
    progress.update({ done: 95 });
    expect(text()).toContain('ETA 5 s');
  });

  it('04 formats durations', () => {
    expect([8, 125, 3725].map(duration)).toEqual(['8 s', '2:05', '1:02:05']);
  });

  it('05 fits any terminal in one line', () => {
    const state = { done: 5, loss: 1.25, imagesPerSecond: 12, robustMeanIoU: 0.5 };
    for (const columns of [1, 20, 60, 80, 200]) {
      const { stream, now, text } = fake(true, columns);
      createProgress({ label: 'supervised', total: 9, dumb: false, stream, now }).update(state);
      expect(text().length, `${columns} columns`).toBeLessThan(columns);
      expect(text().includes('█')).toBe(columns >= 80);
    }
    const { stream, now, text } = fake(true, 0);
    createProgress({ label: 'm3l', total: 9, dumb: false, stream, now }).update(state);
    expect(text()).toContain('robust mIoU 50.0');
  });

  it('06 writes lines, no control characters, to a terminal without a cursor', () => {
    const { stream, now, wait, text } = fake(true);
    const progress = createProgress({ label: 'm3l', total: 10, dumb: true, stream, now });
    progress.update({ done: 1 });
    wait(100);
    progress.update({ done: 10 });
    progress.end();
    expect(text()).toBe('m3l  1/10  ETA 0 s\nm3l 10/10  0 s\n');
  });

  it('07 tells how far an evaluation between two steps is', () => {
    const { stream, now, wait, text } = fake(false);
    const progress = createProgress({ label: 'm3l', total: 10, stream, now });
    progress.update({ done: 10 });
    wait(9000);
    progress.update({ done: 10, evaluated: { done: 1, images: 40 } });
    expect(text()).not.toContain('evaluating');
    wait(1000);
    progress.update({ done: 10, evaluated: { done: 2, images: 40 } });
    expect(text()).toContain('evaluating 2/40 images');
  });
});

describe('progress on any terminal', () => {
  const state = {
    done: 5,
    loss: 1.25,
    imagesPerSecond: 12,
    memory: 2.34e9,
    device: 'cuda:0',
    pseudoWeight: 0.5,
    pseudoUsed: 0.25,
    robustMeanIoU: 0.5,
  };
  const drawn = (columns: number, label = 'm3l') => {
    const { stream, now, wait, text } = fake(true, columns);
    const progress = createProgress({ label, total: 9, dumb: false, stream, now });
    wait(5000);
    progress.update(state);
    return text();
  };

  it('08 leaves out what matters least where it is narrow, and cuts no fact', () => {
    const whole =
      '5/9  ETA 4 s  loss 1.250  λ 0.50 on 25 %  12.0 img/s  robust mIoU 50.0  2.3 GB on cuda:0';
    expect(drawn(140)).toMatch(new RegExp(`^m3l █+░+ ${whole}$`));
    expect(drawn(80)).toMatch(/^m3l █+░+ 5\/9 {2}ETA 4 s .*12.0 img\/s {2}robust mIoU 50.0$/);
    expect(drawn(60)).toMatch(/^m3l █+░+ 5\/9 {2}ETA 4 s {2}loss 1.250 {2}robust mIoU 50.0$/);
    expect(drawn(40)).toBe('m3l 5/9  ETA 4 s  loss 1.250');
    expect(drawn(20)).toBe('m3l 5/9  ETA 4 s');
    expect(drawn(12)).toBe('m3l 5/9');
    expect(drawn(6)).toBe('5/9');
    expect(drawn(3)).toBe('5…');
  });

  it('09 counts the columns of wide letters, of marks and of pictures', () => {
    expect(
      ['m3l', '深度', 'ｍ', '한', 'é', 'e\u0301', '👩‍🔬', '🇩🇪', '\u200b', ''].map(widthOf),
    ).toEqual([3, 4, 2, 2, 1, 1, 2, 2, 0, 0]);
    expect(fitted('深度深度', 5)).toBe('深度…');
    expect(fitted('深度', 4)).toBe('深度');
    for (const columns of [10, 20, 30, 50, 90, 140]) {
      expect(widthOf(drawn(columns, '深度の学習')), `${columns}`).toBeLessThan(columns);
    }
  });

  it('10 clears all lines that a bar lies on after the terminal was made narrower', () => {
    const { stream, now, wait, text } = fake(true, 100);
    const progress = createProgress({ label: 'm3l', total: 9, dumb: false, stream, now });
    progress.update(state);
    const before = text().length;
    stream.columns = 40;
    wait(1000);
    progress.update(state);
    const lines = Math.ceil(before / 40);
    const clearing = `\r\u001b[2K${'\u001b[1A\u001b[2K'.repeat(lines - 1)}`;
    expect(text().slice(before).startsWith(`${clearing}m3l `)).toBe(true);
  });

  it('11 has no colours to turn off, and nothing of a name steers the terminal', () => {
    const label = 'run\u001b[31m\u202e\nname';
    expect(printable(label)).toBe('run [31m name');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
    expect(drawn(140, label)).not.toMatch(/\u001b\[[\d;]*m/);
  });
});

describe('table', () => {
  it('12 aligns text left and numbers right', () => {
    const table = formatTable(
      ['framework', 'all'],
      [
        ['supervised', '5.0'],
        ['m3l', percent(0.4)],
        ['none', percent(Number.NaN)],
      ],
    );
    expect(table.split('\n')).toEqual([
      'framework    all',
      '────────────────',
      'supervised   5.0',
      'm3l         40.0',
      'none           –',
    ]);
  });
});
