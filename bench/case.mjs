// node case.mjs NAME [RUNS]: measures one case beside its peer, in this process, and prints as JSON
// { result } or, where it cannot run here, { skipped } or { left } with the reason.
import { loadCases } from './cases.mjs';
import { PeerError } from './peer.mjs';

// Where the one that asked is stopped.
process.on('disconnect', () => process.exit(1));
process.channel?.unref();

const [wanted, wantedRuns] = process.argv.slice(2);
const one = (await loadCases()).find(({ name }) => name === wanted);
if (one === undefined) {
  console.error(`case: found '${wanted}', expected the name of a case: npm run bench lists them.`);
  process.exit(2);
}

async function measured() {
  const skipped = one.skip?.() ?? null;
  if (skipped !== null) return { skipped };
  const runs = wantedRuns === undefined ? one.runs : Number(wantedRuns);
  try {
    const { ours, peer, ...rest } = await one.measure({ runs });
    const { target, name, unit, title } = one;
    const ratio = ours / peer;
    const met = target.ratio !== undefined ? ratio <= target.ratio : ours <= target.ours;
    const ok = met && (rest.lossError === undefined || rest.lossError <= rest.lossBound);
    return { result: { name, ours, peer, ratio, unit, runs, target, ok, title, ...rest } };
  } catch (error) {
    // A peer that cannot run here takes only its own cases out.
    if (error instanceof PeerError) return { left: error.message };
    throw error;
  }
}

console.log(JSON.stringify(await measured()));
