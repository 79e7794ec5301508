import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = /\.(ts|mjs|h|cpp|cu|cuh)$/;
/** A page of docs/, and the section of it that is meant; a line may break between the two. */
const CITATION = /\b([a-z0-9-]+\.md)(?:[\s*/]*,?[\s*/]+sections?\s+(\d+))?/g;

interface Citation {
  place: string;
  page: string;
  section?: string;
}

const files = ['lib', 'binding', 'test/models'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => SOURCES.test(name))
    .map((name) => join(folder, name)),
);

const citations: Citation[] = files.flatMap((place) =>
  [...readFileSync(join(root, place), 'utf8').matchAll(CITATION)].map(([, page, section]) => ({
    place,
    page: page!,
    ...(section ? { section } : {}),
  })),
);

function headings(page: string): string[] {
  const text = readFileSync(join(root, 'docs', page), 'utf8');
  return [...text.matchAll(/^## (\d+)\. /gm)].map(([, number]) => number!);
}

describe('pages that comments cite', () => {
  it('are in docs/, and have the section', () => {
    const pages = new Set(readdirSync(join(root, 'docs')));
    const unknown = citations.filter(
      ({ page, section }) =>
        !pages.has(page) || (section !== undefined && !headings(page).includes(section)),
    );
    expect(unknown).toEqual([]);
    expect(headings('m3l.md')).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  it('are m3l.md’s sections for the most part: the search finds them', () => {
    const found = citations.filter(({ page, section }) => page === 'm3l.md' && section);
    expect(found.length).toBeGreaterThan(20);
  });
});
