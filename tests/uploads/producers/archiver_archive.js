// Writes what @blaxel/core writes (PROTOCOL.md 3.1): node archiver_archive.js DIRECTORY
// Needs archiver 7.0.1 from npm.
const fs = require('fs'), os = require('os'), path = require('path');
const archiver = require('archiver');

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'archiver-'));
const build = path.join(root, 'build');
fs.mkdirSync(path.join(build, 'src/empty'), { recursive: true });
fs.writeFileSync(path.join(build, 'Dockerfile'), 'FROM node:22-alpine\nCOPY src src\n');
fs.writeFileSync(path.join(build, 'manifest.json'), '{}\n');
fs.writeFileSync(path.join(build, '.hidden'), 'dot\n');
fs.writeFileSync(path.join(build, 'src/run.sh'), '#!/bin/sh\n');
fs.chmodSync(path.join(build, 'src/run.sh'), 0o755);
fs.symlinkSync('../../../elsewhere/src/a.txt', path.join(build, 'src/a.txt'));
fs.symlinkSync('run.sh', path.join(build, 'src/inside'));
fs.symlinkSync('/nonexistent/hostname', path.join(build, 'src/host'));
const when = new Date('2025-03-04T05:06:07Z');
for (const name of ['Dockerfile', 'manifest.json', '.hidden', 'src/run.sh', 'src/empty', 'src'])
  fs.utimesSync(path.join(build, name), when, when);

const archive = archiver('zip', { zlib: { level: 9 } });
const out = fs.createWriteStream(path.join(process.argv[2], 'archiver_links.zip'));
out.on('close', () => { fs.rmSync(root, { recursive: true }); console.log('archiver archive written'); });
archive.pipe(out);
archive.directory(build, false);
archive.finalize();
