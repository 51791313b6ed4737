-- libjem from LuaJIT, over the C declarations that table.py writes.
--
-- usage: luajit use_jem.lua LIBJEM.so JEM_TABLE.cdef MODEL.safetensors
--
-- Scores, samples, trains with a loss of its own on the logits, runs the trainer with a
-- callback, cancels, reads an error's text. ffi.gc destroys handles, in any order.
local ffi = require("ffi")

local library, declarations, path = ...
if not path then
  io.stderr:write("usage: luajit use_jem.lua LIBJEM.so JEM_TABLE.cdef MODEL.safetensors\n")
  os.exit(2)
end
ffi.cdef(assert(io.open(declarations)):read("*a"))
local jem = ffi.load(library)
assert(jem.jem_abi_version() == jem.JEM_ABI_VERSION, "a libjem of another ABI")

local function check(status)
  if status >= 0 then return status end
  local text = ffi.new("char[1024]")
  jem.jem_last_error(text, 1024)
  error(ffi.string(jem.jem_status_name(status)) .. ": " .. ffi.string(text), 2)
end

-- new("jem_model", jem.jem_model_load, context, path): a handle that the collector destroys.
local function new(kind, make, ...)
  local out = ffi.new(kind .. " *[1]")
  check(make(out, ...))
  return ffi.gc(out[0], jem[kind .. "_destroy"])
end

local function config(text)
  local made = new("jem_config", jem.jem_config_create)
  check(jem.jem_config_parse(made, text))
  return made
end

local function floats(n) return ffi.new("float[?]", n) end

-- A loss of one's own on logits [n,k]: its value, and its derivative by the logits.
local function cross_entropy(logits, y, n, k, derivative)
  local loss = 0
  for i = 0, n - 1 do
    local row, sum, most = logits + i * k, 0, -math.huge
    for j = 0, k - 1 do most = math.max(most, row[j]) end
    for j = 0, k - 1 do sum = sum + math.exp(row[j] - most) end
    for j = 0, k - 1 do
      local p = math.exp(row[j] - most) / sum
      derivative[i * k + j] = (p - (j == y[i] and 1 or 0)) / n
    end
    loss = loss + math.log(sum) + most - row[y[i]]
  end
  return loss / n
end

local function train(model, data, settings, shape, steps)
  local n, k = 16, shape.classes
  local loader = new("jem_loader", jem.jem_loader_create, data, settings)
  local optimizer = new("jem_optimizer", jem.jem_optimizer_create, model, settings)
  local pass = new("jem_pass", jem.jem_pass_create, model, jem.JEM_PASS_TRAIN, n)
  local x, y = floats(n * shape.image), ffi.new("int32_t[?]", n)
  local logits, derivative, got = floats(n * k), floats(n * k), ffi.new("int64_t[1]")
  for step = 0, steps - 1 do
    check(jem.jem_loader_next(loader, x, n * shape.image, y, n, got))
    check(jem.jem_pass_forward(pass, x, n, logits, n * k))
    local loss = cross_entropy(logits, y, n, k, derivative)
    check(jem.jem_model_gradient_zero(model))
    check(jem.jem_pass_backward(pass, derivative, jem.JEM_GRADIENT_PARAMETERS, nil))
    check(jem.jem_optimizer_step(optimizer, nil))
    print(("step %d: loss %.4f"):format(step, loss))
  end
end

-- A C function that calls back must not run from compiled Lua.
local function run_trainer(model, data, settings, stop_at)
  local trainer = new("jem_trainer", jem.jem_trainer_create, model, data, settings)
  local seen
  local callbacks = ffi.new("jem_trainer_callbacks")
  callbacks.struct_size = ffi.sizeof(callbacks)
  callbacks.step = function(_, _, step)
    seen = tonumber(step)
    return seen == stop_at and 1 or 0
  end
  assert(check(jem.jem_trainer_run(trainer, callbacks)) == jem.JEM_CANCELLED)
  callbacks.step:free()
  jem.jem_trainer_cancel(trainer)
  assert(check(jem.jem_trainer_step(trainer)) == jem.JEM_CANCELLED)
  print("trainer: stopped after step " .. seen)
end
jit.off(run_trainer)

local settings = config("loader.batch=16 sampler.steps=2 sampler.buffer=64 " ..
                        "optimizer.rate=1e-4 trainer.iterations=100")
local context = new("jem_context", jem.jem_context_create, settings)
local model = new("jem_model", jem.jem_model_load, context, path)
local data = new("jem_dataset", jem.jem_dataset_open, context, "glyphs:limit=200,split=test", settings)
context = nil -- the library keeps what its children need
collectgarbage()

local sizes = ffi.new("int64_t[4]")
check(jem.jem_model_info(model, sizes, sizes + 1, sizes + 2, sizes + 3, nil))
local shape = {image = tonumber(sizes[0] * sizes[1] * sizes[2]), classes = tonumber(sizes[3])}

local n = 100
local x, y = floats(n * shape.image), ffi.new("int32_t[?]", n)
local logits, energy = floats(n * shape.classes), floats(n)
check(jem.jem_dataset_read(data, 0, n, x, n * shape.image, y))
check(jem.jem_model_logits(model, x, n, logits, n * shape.classes))
check(jem.jem_model_energy(model, x, nil, n, energy))
local right, mean = 0, 0
for i = 0, n - 1 do
  local best = 0
  for j = 1, shape.classes - 1 do
    if logits[i * shape.classes + j] > logits[i * shape.classes + best] then best = j end
  end
  right, mean = right + (best == y[i] and 1 or 0), mean + energy[i] / n
end
print(("accuracy %.2f, energy of digits %.2f"):format(right / n, mean))

local sampler = new("jem_sampler", jem.jem_sampler_create, model, settings)
check(jem.jem_sampler_draw(sampler, nil, 4, x, n * shape.image))
print("samples 4")

train(model, data, settings, shape, 2)
run_trainer(model, data, settings, 2)

x[0] = 255
local _, text = pcall(function() check(jem.jem_model_logits(model, x, 1, logits, n)) end)
print((text:gsub("^.-: ", "")))
