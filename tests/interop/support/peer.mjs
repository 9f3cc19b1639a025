// Programs of others that a test needs. tools/install.sh and tests/interop/run install them on Debian, so there their absence is
// a failure; elsewhere the tests are skipped and say so.

import { accessSync, constants, existsSync } from 'node:fs';

const FOLDER = new URL('../.peers/', import.meta.url).pathname;

/** Programs of the virtual environment that `run` makes. */
export const PYTHON = `${FOLDER}venv/bin/python`;
export const ENVOY = `${FOLDER}venv/bin/envoy`;
/** A certificate for localhost and 127.0.0.1, its key, and the authority that issued it; `run` makes them, and node trusts the last. */
export const TLS = { certificate: `${FOLDER}tls/server.pem`, key: `${FOLDER}tls/server.key`, authority: `${FOLDER}tls/ca.pem` };

/** Options for `describe`: empty where all files are there, `skip` with the reason elsewhere; throws on Debian. */
export function withFiles(...paths) {
  const missing = paths.filter((path) => !isThere(path));
  if (missing.length === 0) return {};
  const sentence = `${missing.join(', ')} missing`;
  if (existsSync('/etc/debian_version')) {
    throw new Error(`${sentence}: run tools/install.sh peers, then tests/interop/run`);
  }
  return { skip: `${sentence}; these tests need the packages of Debian` };
}

function isThere(path) {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
