#!/usr/bin/env python3
"""Writes tests/fuzz/seeds: small files of every format. Argument: the jem command, whose
checkpoint gives the seed of that target. Standard library only."""
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "..", "..")
jem = os.path.abspath(sys.argv[1])


def put(target, name, data):
    folder = os.path.join(here, "seeds", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def header_of(path):
    with open(path, "rb") as file:
        return file.read(struct.unpack("<Q", file.read(8))[0]).rstrip()


def safetensors(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def patches(header, values):
    """What fuzz_file puts into the zeros behind a header: a tensor's first bytes, or (bytes, skipped)."""
    out = b"\0"
    tensors = json.loads(header)
    for name, value in values.items():
        data, skipped = value if isinstance(value, tuple) else (value, 0)
        place = tensors[name]["data_offsets"][0] + skipped
        out += struct.pack("<I", place | (len(data) - 1) << 24) + data
    return header + out


def floats(*values):
    return struct.pack("<%df" % len(values), *values)


def whole(*values):
    return struct.pack("<%dq" % len(values), *values)


# safetensors
put("safetensors", "empty", safetensors({}, b""))
put("safetensors", "all_types", safetensors(
    {"__metadata__": {"format": "pt", "a\"b\\": "\u00e9\u2603\ud83d\ude00\n"},
     "f": tensor("F32", [2], 0, 8), "h": tensor("F16", [1, 3], 8, 14),
     "b": tensor("BF16", [], 14, 16), "d": tensor("F64", [1], 16, 24),
     "i": tensor("I64", [0], 24, 24), "u": tensor("U8", [2, 1, 1], 24, 26)}, bytes(range(26))))
put("safetensors", "out_of_order", safetensors(
    {"b": tensor("U8", [4], 4, 8), "a": tensor("U8", [4], 0, 4)}, b"abcdefgh"))

# model: headers only
model = header_of(os.path.join(root, "examples/models/glyphs.safetensors"))
put("model", "glyphs", model)
put("model", "no_checksum", json.dumps(
    {k: ({n: v for n, v in t.items() if n != "checksum"} if k == "__metadata__" else t)
     for k, t in json.loads(model).items()}, separators=(",", ":")).encode())
put("model", "no_metadata", json.dumps(
    {k: t for k, t in json.loads(model).items() if k != "__metadata__"},
    separators=(",", ":")).encode())
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([jem, "train", "--data", "glyphs:size=8,limit=200", "--output", folder + "/run",
                    "--iterations", "1", "--set", "model.architecture=network",
                    "model.network=convolution 0 a 4 3 1 1; norm 1 b batch; silu 2; max_pool 3 2 2 0;"
                    " linear 4 c 6; leaky_relu 5", "model.energy=head", "sampler.steps=1",
                    "sampler.start=gaussian", "sampler.start_rank=2", "loader.batch=8",
                    "sampler.buffer=10", "trainer.validation=10", "trainer.validate_every=1",
                    "trainer.gap_limit=1e9"], check=True,
                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    described = json.loads(header_of(folder + "/run/model.safetensors"))
del described["__metadata__"]["checksum"]
described["__metadata__"]["calibration"] = ("calibration.accept=0.9 calibration.temperature=0.5"
                                        " calibration.threshold=-3 calibration.images=10")
network = json.dumps(described, separators=(",", ":")).encode()
put("model", "network", network)
put("model", "huge", json.dumps({"__metadata__": {
    "format": "jem", "depth": "1000", "widen_factor": "64", "channels": "4096",
    "classes": "65536", "height": "65536", "width": "65536"}}).encode())

# settings that no setting may have: two choices at once, one more after a quote
for name, entry, text in (("choices", "activation", "relu|silu"),
                          ("quote", "norm_momentum", '0.9" model.check_input=0 model.norm="batch')):
    odd = json.loads(model)
    odd["__metadata__"].pop("checksum", None)
    odd["__metadata__"][entry] = text
    put("model", name, json.dumps(odd, separators=(",", ":")).encode())

# tensors with content: good ones, and a weight that is none
put("model", "filled", patches(network, {
    "a.weight": floats(1, -2, 0.5), "b.running_var": floats(1, 2, 3, 4), "b.weight": floats(1, 1),
    "class_output.weight": floats(*[0.25] * 12), "starts.mean": floats(0.5, -0.5),
    "starts.rest": floats(0.1, 0.2, 0.3), "starts.factor": (b"\x80\x3f\x00\xbf", 4)}))
put("model", "infinite", patches(json.dumps({
    "__metadata__": {"format": "jem", "architecture": "network", "network": "mean 0", "classes": "2",
                     "channels": "1", "height": "4", "width": "4"},
    "class_output.weight": tensor("F32", [2, 1], 0, 8),
    "class_output.bias": tensor("F32", [2], 8, 16)}, separators=(",", ":")).encode(),
    {"class_output.bias": floats(1, float("inf"))}))

# checkpoint: the settings of fuzz_checkpoint.c
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        [jem, "train", "--data", "glyphs:size=8,limit=200", "--output", folder + "/run",
         "--model.architecture=network",
         "--model.network=convolution 0 stem 4 3 2 1; norm 1 n batch; relu 2; mean 3",
         "--loader.batch=2", "--loader.prefetch=0", "--sampler.buffer=2", "--sampler.steps=1",
         "--trainer.ema=0.9", "--trainer.retries=1", "--trainer.snapshot_every=1",
         "--trainer.validation=10", "--trainer.validate_every=1", "--trainer.iterations=2"],
        check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    checkpoint = header_of(folder + "/run/checkpoint.safetensors")
put("checkpoint", "ten_classes", checkpoint)
put("checkpoint", "filled", patches(checkpoint, {
    "model.stem.weight": floats(1, -2, 0.5), "model.n.running_var": floats(1, 2, 3, 4),
    "optimizer.second": floats(1e-6, 1e-3), "sampler.buffer": floats(0.5, -0.5),
    "sampler.age": whole(3, -1), "counter.draws": whole(6), "counter.step": whole(1),
    "counter.updates": whole(1), "counter.px_position": whole(1),
    "counter.labelled_position": whole(1), "counter.validation_step": whole(1),
    "counter.good_step": whole(-1), "counter.candidate_step": whole(1),
    "candidate.counter.step": whole(1), "candidate.sampler.age": whole(-1, 1 << 60)}))

# buffer: of a checkpoint (fuzz_buffer.c makes the checksum), of another program, and not finite
tensors = {"sampler.buffer": tensor("F32", [2, 64], 0, 512), "sampler.age": tensor("I64", [2], 512, 528)}
described = {"__metadata__": {"format": "jem-checkpoint", "format_version": "1", "settings": "",
                              "data": "9 images, 2 classes"}, **tensors}
buffer = json.dumps(described, separators=(",", ":")).encode()
put("buffer", "checkpoint", patches(buffer, {
    "sampler.buffer": floats(0.5, -0.5, 1), "sampler.age": whole(0, -1)}))
put("buffer", "other", json.dumps(tensors, separators=(",", ":")).encode())
put("buffer", "infinite", patches(buffer, {"sampler.buffer": (floats(float("nan")), 256)}))

# npy
def npy(descr, shape, data, version=1):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, shape)
    size = 2 if version == 1 else 4
    text += " " * (-(len(text) + 9 + size) % 64) + "\n"
    return (b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if size == 2 else "<I", len(text))
            + text.encode() + data)


put("npy", "floats", npy("<f4", "(2, 3)", bytes(24)))
put("npy", "scalar", npy("<f8", "()", bytes(8)))
put("npy", "bytes", npy("|u1", "(5,)", b"hello", 2))
put("npy", "labels", npy("<i8", "(1, 1, 2)", bytes(16), 3))
put("npy", "none", npy("<i4", "(0, 7)", b""))

# idx
def idx(magic, shape, data):
    return struct.pack(">I", magic) + b"".join(struct.pack(">I", n) for n in shape) + data


labels, images = idx(0x801, [2], b"\1\2"), idx(0x803, [2, 3, 4], bytes(range(24)))
put("idx", "plain", struct.pack("<H", len(labels)) + labels + images)
packed = gzip.compress(images, mtime=0)
put("idx", "gzip", struct.pack("<H", len(labels)) + labels + packed)

# cifar
put("cifar", "ten", b"\0" + b"".join(bytes([i]) + bytes(3072) for i in (0, 9)))
put("cifar", "hundred", bytes([2 * 8 + 1]) + b"cat\ndog\n" + bytes([3, 99]) + bytes(3072))

# svhn
for name in ("train", "test"):
    with open(os.path.join(root, "tests/golden/svhn", name + "_32x32.mat"), "rb") as file:
        put("svhn", name, file.read())

# png
def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def png(kind, depth, channels, interlaced=0, extra=b"", w=5, h=4):
    rows = b"".join(b"\0" + bytes((x * 37 + y) % 256 for x in range((w * channels * depth + 7) // 8))
                    for y in range(h * (3 if interlaced else 1)))
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, interlaced)) + extra
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


palette = chunk(b"PLTE", bytes(range(48))) + chunk(b"tRNS", bytes(range(0, 160, 10)))
for i, data in enumerate([png(0, 8, 1), png(2, 8, 3), png(3, 4, 1, 0, palette), png(4, 16, 2),
                          png(6, 8, 4, 1), png(0, 1, 1, 0, chunk(b"tRNS", b"\0\1")),
                          png(2, 16, 3, 0, chunk(b"tEXt", b"Title\0x"))]):
    put("png", "kind%d" % i, bytes([i]) + data)
put("png", "repaired", b"\3" + png(2, 8, 3))

# packed
with tempfile.TemporaryDirectory() as folder:
    for name, source in (("digits", "glyphs:size=8,limit=3"), ("noise", "noise:size=9,limit=2")):
        subprocess.run([jem, "pack", "--data", source, "--output", folder + "/a.jem"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(folder + "/a.jem", "rb") as file:
            data = file.read()
        put("packed", name, b"\0" + data)
        put("packed", name + "_repaired", b"\1" + data)

# no images, each of 2^62 floats
data = safetensors({"__metadata__": {"format": "jem-images", "version": "1", "classes": "1"},
                    "images": tensor("F32", [0, 1 << 31, 1 << 31, 1], 0, 0),
                    "labels": tensor("I32", [0], 0, 0), "checksums": tensor("U32", [0], 0, 0),
                    "seal": tensor("U32", [2], 0, 8)}, b"")
put("packed", "no_images", b"\0" + data + struct.pack("<II", zlib.crc32(data), 0))

# config
put("config", "plain", b"model.depth=16 sampler.steps=20")
put("config", "quoted", b'model.class_names="a b,c" optimizer.rate=1e-4\ttrainer.px=.5')
put("config", "wrong", b"model.dept=16 loader.batch=-1")
put("config", "preset", b"jem")
put("config", "choices", b"model.norm=none|batch optimizer.name=adam|sgd")
put("config", "quote", b'model.class_names="a"b" model.depth="16"loader.batch=3')

# calls: a configuration, data, loader, model, sampler, pass, trainer, and then all of them
begin = bytes([0, 0, 0, 0]) + bytes([1, 0, 0, 4, 1, 2, 3, 0, 0, 0, 0, 0, 0, 1])
model = bytes([3, 0, 0, 2, 0, 1, 0])
put("calls", "loader", begin + bytes([2, 0, 0, 1, 0, 0, 2, 0, 2, 1, 1, 2, 0, 3, 1, 1]))
put("calls", "model", begin + model + bytes([3, 0, 0, 2, 2, 1, 3, 0, 0, 2, 3, 3, 0, 0, 1, 4, 3]))
put("calls", "sampler", begin + model + bytes([4, 0, 2, 0, 0, 1, 0, 0, 4, 0, 2, 0, 2, 4, 0, 1, 0, 4]))
put("calls", "trainer", begin + model + bytes([6, 0, 0, 1, 0, 0, 0, 6, 0, 5, 6, 0, 2, 6, 0, 3, 6, 0, 5]))
# and files: a model saved and loaded, data of a callback, pixels, packed data
put("calls", "files", begin + model + bytes([10, 0, 0, 0, 1, 10, 1, 0, 1, 10, 1, 4, 2, 1, 1, 1, 3])
    + bytes([1, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1])
    + bytes([10, 1, 0, 3, 5, 5, 0, 2, 1, 1, 10, 1, 0, 5]))
