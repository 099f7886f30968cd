// JupyterLab's own client library at a project's server: `node services.mjs BASE_URL TOKEN`.
// Prints one JSON object of what it saw; tests/integration/test_jupyterlab_services.py looks at it.
import { createRequire } from 'node:module';
import process from 'node:process';

const require = createRequire(import.meta.url);
const {
  ContentsManager, KernelManager, KernelSpecManager, NbConvertManager, ServerConnection, SessionManager, TerminalManager,
  UserAPI, ConfigSectionManager
} = require('@jupyterlab/services');

const [baseUrl, token] = process.argv.slice(2);
const serverSettings = ServerConnection.makeSettings({
  baseUrl,
  wsUrl: baseUrl.replace(/^http/, 'ws'),
  token,
  appendToken: true,
  WebSocket: require('ws')
});
const seen = {};
const contents = new ContentsManager({ serverSettings });
const changes = [];
contents.fileChanged.connect((_, change) => changes.push(change.type));

const failure = async promise => {
  try {
    await promise;
    return null;
  } catch (error) {
    return { status: error.response?.status ?? null, message: error.message };
  }
};

// Files
const text = await contents.save('notes.txt', { type: 'file', format: 'text', content: 'héllo 😀\n' });
seen.saved = { path: text.path, type: text.type, size: text.size, writable: text.writable };
seen.read = (await contents.get('notes.txt')).content;
seen.hash = (await contents.get('notes.txt', { content: false, hash: true })).hash;
const bytes = Buffer.from([0, 255, 137, 80, 78, 71]);
await contents.save('picture.png', { type: 'file', format: 'base64', content: bytes.toString('base64') });
seen.picture = Buffer.from((await contents.get('picture.png', { format: 'base64', content: true })).content, 'base64').equals(bytes);
seen.downloadUrl = await contents.getDownloadUrl('picture.png');

// An upload in parts, as JupyterLab's file browser sends it
const large = Buffer.alloc(3 * 1024 * 1024 + 5, 'abcdefg');
const part = 1024 * 1024;
for (let start = 0, number = 1; start < large.length; start += part, number++) {
  const isLast = start + part >= large.length;
  await contents.save('large.bin', {
    type: 'file',
    format: 'base64',
    chunk: isLast ? -1 : number,
    content: large.subarray(start, start + part).toString('base64')
  });
}
seen.large = Buffer.from((await contents.get('large.bin', { format: 'base64', content: true })).content, 'base64').equals(large);

// New, copied, renamed, deleted
const untitled = await contents.newUntitled({ type: 'notebook' });
seen.untitled = untitled.path;
const folder = await contents.newUntitled({ type: 'directory' });
seen.folder = folder.path;
seen.copied = (await contents.copy('notes.txt', folder.path)).path;
seen.renamed = (await contents.rename('notes.txt', `${folder.path}/renamed #1.txt`)).path;
seen.names = (await contents.get(folder.path)).content.map(one => one.name).sort();
await contents.delete(folder.path);
seen.gone = await failure(contents.get(folder.path));
seen.taken = await failure(contents.rename('large.bin', 'picture.png'));

// A notebook, saved and gone back to a checkpoint
const content = {
  cells: [
    { cell_type: 'code', id: 'one', source: '1 + 1', metadata: {}, outputs: [], execution_count: null },
    { cell_type: 'markdown', id: 'two', source: '# Title', metadata: {} }
  ],
  metadata: { kernelspec: { name: 'python3', display_name: 'Python 3' } },
  nbformat: 4,
  nbformat_minor: 5
};
await contents.save('lab.ipynb', { type: 'notebook', format: 'json', content });
const checkpoint = await contents.createCheckpoint('lab.ipynb');
content.cells[0].source = 'worse';
await contents.save('lab.ipynb', { type: 'notebook', format: 'json', content });
seen.worse = (await contents.get('lab.ipynb', { type: 'notebook', content: true })).content.cells[0].source;
await contents.restoreCheckpoint('lab.ipynb', checkpoint.id);
seen.restored = (await contents.get('lab.ipynb', { type: 'notebook', content: true })).content.cells[0].source;
seen.checkpoints = (await contents.listCheckpoints('lab.ipynb')).map(one => one.id);
await contents.deleteCheckpoint('lab.ipynb', checkpoint.id);
seen.checkpointsAfter = (await contents.listCheckpoints('lab.ipynb')).length;
seen.changes = changes;
contents.dispose();

// Who, what kernels, which formats, configuration
// (the manager of users wants a browser's localStorage)
seen.identity = (await new UserAPI.UserAPIClient({ serverSettings }).get()).identity.username;
const specs = new KernelSpecManager({ serverSettings });
await specs.ready;
seen.defaultKernelspec = specs.specs.default;
const python = specs.specs.kernelspecs.python3;
seen.kernelspec = { display_name: python.display_name, language: python.language, argv: python.argv };
const logo = await ServerConnection.makeRequest(
  new URL(python.resources['logo-64x64'], baseUrl).href,
  {},
  serverSettings
);
seen.logo = { status: logo.status, type: logo.headers.get('content-type') };
specs.dispose();
seen.formats = Object.keys(await new NbConvertManager({ serverSettings }).getExportFormats()).sort();
const section = await new ConfigSectionManager({ serverSettings }).create({ name: 'notebook' });
await section.update({ cells: { theme: 'dark' } });
seen.config = section.data;

// A notebook's session: run, input, comms both ways with buffers, restart, another path, the end
const kernels = new KernelManager({ serverSettings });
const sessions = new SessionManager({ kernelManager: kernels, serverSettings });
const session = await sessions.startNew({ name: 'lab', path: 'lab.ipynb', type: 'notebook', kernel: { name: 'python3' } });
const kernel = session.kernel;
const run = async (code, onMessage = () => {}) => {
  const future = kernel.requestExecute({ code });
  let text = '';
  future.onIOPub = message => {
    text += message.header.msg_type === 'stream' ? message.content.text : '';
    onMessage(message);
  };
  future.onStdin = message => future.sendInputReply({ status: 'ok', value: 'Ada' }, message.header);
  return { status: (await future.done).content.status, text };
};
seen.ran = await run('print(6 * 7)');
seen.failed = (await run('1/0')).status;
seen.asked = (await run("print('hello', input('Name? '))")).text;
seen.completed = (await kernel.requestComplete({ code: 'impor', cursor_pos: 5 })).content.matches;
let opened;
const heard = new Promise(resolve => {
  kernel.registerCommTarget('made-there', comm => {
    opened = comm;
    comm.onMsg = message =>
      resolve({ data: message.content.data, bytes: [...new Uint8Array(message.buffers[0].buffer ?? message.buffers[0])] });
    comm.send({ ready: true }, undefined, [new Uint8Array([1, 2, 3]).buffer]);
  });
});
await run(`from ipykernel.comm import Comm
comm = Comm(target_name='made-there')
@comm.on_msg
def answer(message):
    comm.send({'got': list(message['buffers'][0])}, buffers=[bytes([9, 8])])`);
seen.comm = await heard;
await opened.subshellStarted; // a restart takes the request for it away
await kernel.restart();
seen.fresh = (await run("print('comm' in globals())")).text;
await session.setPath('moved.ipynb');
await sessions.refreshRunning();
seen.sessions = [...sessions.running()].map(one => one.path);
await kernels.refreshRunning();
seen.kernels = [...kernels.running()].some(one => one.id === kernel.id);
await session.shutdown();
await kernels.refreshRunning();
seen.kernelIsGone = ![...kernels.running()].some(one => one.id === kernel.id);

// A terminal
require('@jupyterlab/coreutils').PageConfig.setOption('terminalsAvailable', 'true'); // a page's server says it
const terminals = new TerminalManager({ serverSettings });
const terminal = await terminals.startNew();
seen.typed = await new Promise(resolve => {
  let screen = '';
  terminal.messageReceived.connect((_, message) => {
    screen += message.type === 'stdout' ? message.content.join('') : '';
    if (screen.includes('=42=')) resolve(true);
  });
  terminal.send({ type: 'stdin', content: ['echo "=$((6 * 7))="\r'] });
});
seen.terminals = [...terminals.running()].map(one => one.name === terminal.name);
await terminal.shutdown();

// A token that is none
const stranger = new ContentsManager({
  serverSettings: ServerConnection.makeSettings({ ...serverSettings, token: 'zh_00000000_nonsense' })
});
seen.stranger = await failure(stranger.get(''));
stranger.dispose();

process.stdout.write(JSON.stringify(seen), () => process.exit(0));
