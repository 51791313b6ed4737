// libjem from Node with koffi, over the table that table.py writes.
//
// usage: NODE_PATH=FOLDER_OF_koffi node use_jem.js LIBJEM.so JEM_TABLE.json MODEL.safetensors
//
// Scores, samples, trains with a loss of its own on the logits, runs the trainer with a
// callback, cancels, reads an error's text. Handles are destroyed after their collection.
'use strict';
const fs = require('node:fs');
const koffi = require('koffi');

const [library, tablePath, modelPath] = process.argv.slice(2);
if (!modelPath) {
  console.error('usage: node use_jem.js LIBJEM.so JEM_TABLE.json MODEL.safetensors');
  process.exit(2);
}
const table = JSON.parse(fs.readFileSync(tablePath));
const { JEM_PASS_TRAIN, JEM_GRADIENT_PARAMETERS, JEM_CANCELLED } = table.constants;

// Numbers by value, texts as strings, every other pointer as an address or a typed array.
function type(text) {
  if (!text.endsWith('*')) return table.aliases[text] ?? text;
  return text === 'const char *' ? 'str' : 'void *';
}
const lib = koffi.load(library);
const jem = {};
for (const f of table.functions)
  jem[f.name] = lib.func(f.name, type(f.result), f.parameters.map((p) => type(p.type)));
if (jem.jem_abi_version() !== table.constants.JEM_ABI_VERSION) throw new Error('a libjem of another ABI');

function check(status) {
  if (status >= 0) return status;
  const text = Buffer.alloc(1024);
  const length = Number(jem.jem_last_error(text, text.length));
  throw new Error(`${jem.jem_status_name(status)}: ${text.toString('utf8', 0, length)}`);
}

// make(jem.jem_model_load, context, path): an object with a pointer that is destroyed with it.
const registry = new FinalizationRegistry(({ destroy, pointer }) => destroy(pointer));
function make(kind, create, ...args) {
  const out = new BigUint64Array(1);
  check(create(out, ...args.map((a) => a?.pointer ?? a)));
  const handle = { pointer: out[0] };
  registry.register(handle, { destroy: jem[`jem_${kind}_destroy`], pointer: out[0] });
  return handle;
}

// A loss of one's own on logits [n,k]: its value, and its derivative by the logits.
function crossEntropy(logits, y, k, derivative) {
  const n = y.length;
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const row = logits.subarray(i * k, (i + 1) * k);
    const most = Math.max(...row);
    const sum = row.reduce((s, v) => s + Math.exp(v - most), 0);
    row.forEach((v, j) => {
      derivative[i * k + j] = (Math.exp(v - most) / sum - (j === y[i])) / n;
    });
    loss += (Math.log(sum) + most - row[y[i]]) / n;
  }
  return loss;
}

function train(model, data, settings, { image, k }, steps) {
  const n = 16;
  const loader = make('loader', jem.jem_loader_create, data, settings);
  const optimizer = make('optimizer', jem.jem_optimizer_create, model, settings);
  const pass = make('pass', jem.jem_pass_create, model, JEM_PASS_TRAIN, n);
  const [x, y] = [new Float32Array(n * image), new Int32Array(n)];
  const [logits, derivative] = [new Float32Array(n * k), new Float32Array(n * k)];
  const last = jem.jem_model_parameter_find(model.pointer, 'class_output.bias');
  const gradient = new Float32Array(k);
  for (let step = 0; step < steps; step++) {
    check(jem.jem_loader_next(loader.pointer, x, x.length, y, y.length, new BigInt64Array(1)));
    check(jem.jem_pass_forward(pass.pointer, x, n, logits, logits.length));
    const loss = crossEntropy(logits, y, k, derivative);
    check(jem.jem_model_gradient_zero(model.pointer));
    check(jem.jem_pass_backward(pass.pointer, derivative, JEM_GRADIENT_PARAMETERS, null));
    check(jem.jem_model_gradient_get(model.pointer, last, gradient, gradient.length));
    check(jem.jem_optimizer_step(optimizer.pointer, null));
    console.log(`step ${step}: loss ${loss.toFixed(4)}, |d bias| ${Math.hypot(...gradient).toFixed(4)}`);
  }
}

function runTrainer(model, data, settings, stopAt) {
  const trainer = make('trainer', jem.jem_trainer_create, model, data, settings);
  let seen;
  const step = koffi.register((user, handle, at) => {
    seen = Number(at);
    return seen === stopAt ? 1 : 0;
  }, koffi.pointer(koffi.proto('int32_t step(void *user, void *trainer, int64_t at)')));
  // A table of 64-bit fields: struct_size, user, step, and what came later: none.
  const fields = table.tables.find((t) => t.name === 'jem_trainer_callbacks').fields;
  const callbacks = new BigUint64Array(fields.length);
  callbacks[0] = BigInt(callbacks.byteLength);
  callbacks[fields.findIndex((f) => f.name === 'step')] = koffi.address(step);
  if (check(jem.jem_trainer_run(trainer.pointer, callbacks)) !== JEM_CANCELLED) throw new Error('not cancelled');
  koffi.unregister(step);
  jem.jem_trainer_cancel(trainer.pointer);
  if (check(jem.jem_trainer_step(trainer.pointer)) !== JEM_CANCELLED) throw new Error('not cancelled');
  console.log(`trainer: stopped after step ${seen}`);
}

const settings = make('config', jem.jem_config_create);
check(jem.jem_config_parse(settings.pointer, 'loader.batch=16 sampler.steps=2 sampler.buffer=64 ' +
  'optimizer.rate=1e-4 trainer.iterations=100'));
const context = make('context', jem.jem_context_create, settings);
const model = make('model', jem.jem_model_load, context, modelPath);
const data = make('dataset', jem.jem_dataset_open, context, 'glyphs:limit=200,split=test', settings);
const sizes = new BigInt64Array(4);
check(jem.jem_model_info(model.pointer, ...[0, 1, 2, 3].map((i) => sizes.subarray(i)), null));
const shape = { image: Number(sizes[0] * sizes[1] * sizes[2]), k: Number(sizes[3]) };

const n = 100;
const [x, y] = [new Float32Array(n * shape.image), new Int32Array(n)];
const [logits, energy] = [new Float32Array(n * shape.k), new Float32Array(n)];
check(jem.jem_dataset_read(data.pointer, 0, n, x, x.length, y));
check(jem.jem_model_logits(model.pointer, x, n, logits, logits.length));
check(jem.jem_model_energy(model.pointer, x, null, n, energy));
let right = 0;
for (let i = 0; i < n; i++) {
  const row = logits.subarray(i * shape.k, (i + 1) * shape.k);
  right += row.indexOf(Math.max(...row)) === y[i];
}
const mean = energy.reduce((s, v) => s + v, 0) / n;
console.log(`accuracy ${(right / n).toFixed(2)}, energy of digits ${mean.toFixed(2)}`);

const sampler = make('sampler', jem.jem_sampler_create, model, settings);
check(jem.jem_sampler_draw(sampler.pointer, null, 4, x, x.length));
console.log('samples 4');
train(model, data, settings, shape, 2);
runTrainer(model, data, settings, 2);
try {
  check(jem.jem_model_logits(model.pointer, x.fill(255), 1, logits, logits.length));
} catch (error) {
  console.log(error.message);
}
