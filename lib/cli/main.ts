#!/usr/bin/env node
import { tools } from './tools.js';

// Before anything else is loaded: an older Node fails within it, and not in words for a user.
const fault = (await tools()).nodeFault();
if (fault === null) await import('./program.js');
else {
  console.error(`m3l: ${fault}`);
  process.exitCode = 1;
}
