#!/usr/bin/env python3
"""Turns a PyTorch checkpoint of JEM, JEM++ or SADA-JEM into files that libjem reads.

usage: from_torch.py CHECKPOINT.pt MODEL.safetensors [--buffer BUFFER.npy] [options]

The checkpoint is what torch.save wrote, in the zip format or the one before it (2019): a dictionary with
"model_state_dict" and "replay_buffer", or a bare state_dict. Names are those of the original networks; what wrappers add to
them ("module." of DataParallel) is taken off, and JEM++'s second names of the same layers (f.layer_one, f.other_layers) go.
Other entries (optimizer, epoch, ...) are left behind.

Needs Python 3.8 and nothing else, not even torch. Nothing in the checkpoint is executed: of the classes that a pickle may
name only tensors, dictionaries and numbers are made, anything else becomes an empty placeholder.
"""
import argparse
import collections
import json
import os
import pickle
import struct
import sys
import zipfile

# Storage classes of torch: name in safetensors, bytes of an element.
STORAGES = {"FloatStorage": ("F32", 4), "DoubleStorage": ("F64", 8), "HalfStorage": ("F16", 2),
            "BFloat16Storage": ("BF16", 2), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
            "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1), "BoolStorage": ("BOOL", 1)}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the format before the zip one


class Refused(Exception):
    """What is wrong with the file, in one line."""


# ---- tensors, without torch ----

class Storage:
    def __init__(self, kind, count):
        if kind not in STORAGES:
            raise Refused("a storage of type %s" % kind)
        self.dtype, self.width = STORAGES[kind]
        self.count, self.data = count, None


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = storage, offset, tuple(shape), tuple(stride)
        self.dtype, self.count = storage.dtype, 1
        for size in self.shape:
            self.count *= size
        last = offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride)) if self.count else offset
        whole = [offset, last] + list(self.shape) + list(self.stride)
        if len(self.shape) != len(self.stride) or min(whole, default=0) < 0 or (self.count and last >= storage.count):
            raise Refused("a tensor of shape %s that leaves its storage" % (self.shape,))
        if self.count > storage.count:
            raise Refused("a tensor of shape %s that repeats its storage" % (self.shape,))

    def bytes(self):
        """The elements in C order."""
        if self.storage.data is None:
            raise Refused("a tensor whose data is missing")
        width, data = self.storage.width, self.storage.data
        expected = 1
        for size, step in zip(reversed(self.shape), reversed(self.stride)):
            if size != 1 and step != expected and self.count:
                return b"".join(self.gather(data, width))
            expected *= size
        return bytes(data[self.offset * width:(self.offset + self.count) * width])

    def gather(self, data, width):
        index = [0] * len(self.shape)
        for _ in range(self.count):
            at = (self.offset + sum(i * s for i, s in zip(index, self.stride))) * width
            yield bytes(data[at:at + width])
            for d in reversed(range(len(index))):
                index[d] += 1
                if index[d] < self.shape[d]:
                    break
                index[d] = 0


# ---- a pickle that can do no harm ----

class Placeholder:
    """Stands for an object that the conversion has no use for."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    def add(self, value):
        pass


def rebuild_tensor(storage, offset, shape, stride, *_):
    if not isinstance(storage, Storage):
        raise Refused("a tensor without a storage")
    return Tensor(storage, offset, shape, stride)


class Reader(pickle.Unpickler):
    KNOWN = {("collections", "OrderedDict"): collections.OrderedDict,
             ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
             ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
             ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
             ("torch._utils", "_rebuild_parameter_with_state"): lambda tensor, *_: tensor}

    def __init__(self, file, storages):
        super().__init__(file, encoding="utf-8")
        self.storages = storages

    def find_class(self, module, name):
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return type(name, (Placeholder,), {"kind": name})
        return self.KNOWN.get((module, name), Placeholder)

    def persistent_load(self, pid):
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":
            return pid[1]  # a class of the old format, with its source
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise Refused("a reference of an unknown kind")
        kind, key, count = getattr(pid[1], "kind", "?"), str(pid[2]), pid[4]
        if not isinstance(count, int) or count < 0:
            raise Refused("a storage of %r elements" % (count,))
        if len(pid) > 5 and pid[5] is not None:
            raise Refused("a storage that is part of another one (written by torch before 1.0)")
        if key not in self.storages:
            self.storages[key] = Storage(kind, count)
        return self.storages[key]


def read_zip(path):
    storages = {}
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        index = [n for n in names if n.endswith("/data.pkl") or n == "data.pkl"]
        if len(index) != 1:
            raise Refused("no data.pkl: not a checkpoint of torch.save (nor may it be a TorchScript file)")
        folder = index[0][:-len("data.pkl")]
        if folder + "byteorder" in names and archive.read(folder + "byteorder").strip() != b"little":
            raise Refused("numbers in big-endian order")
        with archive.open(index[0]) as file:
            value = Reader(file, storages).load()
        for key, storage in storages.items():
            name = "%sdata/%s" % (folder, key)
            if name not in names:
                raise Refused("the data of storage %s is missing" % key)
            info = archive.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED:  # torch never packs them; a bomb would
                raise Refused("storage %s is compressed" % key)
            if info.file_size < storage.count * storage.width:
                raise Refused("storage %s is cut" % key)
            storage.data = memoryview(archive.read(name))
    return value


def read_legacy(path):
    storages = {}
    with open(path, "rb") as file:
        if Reader(file, storages).load() != MAGIC or Reader(file, storages).load() != PROTOCOL:
            raise Refused("not a checkpoint of torch.save")
        system = Reader(file, storages).load()
        if not system.get("little_endian", True):
            raise Refused("numbers in big-endian order")
        value = Reader(file, storages).load()
        for key in Reader(file, {}).load():
            storage, count = storages.get(str(key)), struct.unpack("<q", file.read(8))[0]
            if storage is None or storage.count != count:
                raise Refused("storage %s has another size than its tensors say" % key)
            storage.data = memoryview(file.read(count * storage.width))
            if len(storage.data) != count * storage.width:
                raise Refused("storage %s is cut" % key)
    return value


def read_checkpoint(path):
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    return read_zip(path) if is_zip else read_legacy(path)


# ---- what a checkpoint holds ----

def parts_of(value):
    """The state_dict and the replay buffer (None: there is none)."""
    if not isinstance(value, dict):
        raise Refused("holds a whole module or something else, expected a dictionary; save model.state_dict()")
    buffer = value.get("replay_buffer")
    state = value
    for key in ("model_state_dict", "state_dict", "model"):
        if key in value:
            state = value[key]
            break
    if state is None:
        return {}, buffer if isinstance(buffer, Tensor) else None
    if not isinstance(state, dict):
        raise Refused("model_state_dict is no dictionary of tensors")
    tensors = {name: t for name, t in state.items() if isinstance(name, str) and isinstance(t, Tensor)}
    if not tensors:
        raise Refused("there are no tensors in it (entries: %s)" % ", ".join(sorted(map(str, value)))[:200])
    return tensors, buffer if isinstance(buffer, Tensor) else None


def original_names(tensors):
    """Without what DataParallel and JEM++'s second lists of layers put before or beside the names."""
    clean = {}
    for name, tensor in tensors.items():
        while name.startswith("module."):
            name = name[len("module."):]
        name = name.replace(".module.", ".")
        if name.startswith(("f.layer_one.", "f.other_layers.")):
            continue
        if name in clean:
            raise Refused("two tensors named %s" % name)
        clean[name] = tensor
    return clean


def architecture(tensors, norm, buffer, size):
    """The metadata of a model file; refuses what is no such Wide-ResNet."""
    def shape(name, dimensions):
        if name not in tensors:
            raise Refused("there is no tensor %s: not a network of JEM, JEM++ or SADA-JEM" % name)
        if len(tensors[name].shape) != dimensions:
            raise Refused("tensor %s has shape %s, expected %d dimensions" % (name, tensors[name].shape, dimensions))
        return tensors[name].shape
    blocks = 0
    while "f.layer1.%d.conv1.weight" % blocks in tensors:
        blocks += 1
    width, classes = shape("f.layer1.0.conv1.weight", 4)[0], shape("class_output.weight", 2)[0]
    if width % 16:
        raise Refused("the first stage is %d channels wide, expected a multiple of 16" % width)
    if any(name.startswith("f.layer4.") for name in tensors):
        raise Refused("a fourth stage (images of 64x64 and more): such networks are not supported")
    found = ("batch" if "f.bn1.running_mean" in tensors else "act" if "f.bn1.loc" in tensors
             else "affine" if "f.bn1.weight" in tensors else "none")
    if found == "affine":
        if norm not in ("instance", "layer"):
            raise Refused("instance and layer norm have the same tensors: say --norm instance or --norm layer")
        found = norm
    elif norm not in (None, found):
        raise Refused("--norm %s, but the tensors are those of norm %s" % (norm, found))
    if size is None:
        size = buffer.shape[2:] if buffer is not None and len(buffer.shape) == 4 else (32, 32)
    return {"format": "jem", "architecture": "wide_resnet", "depth": 6 * blocks + 4, "widen_factor": width // 16,
            "classes": classes, "channels": shape("f.conv1.weight", 4)[1], "height": size[0], "width": size[1],
            "norm": found, "norm_momentum": 0.9, "activation": "leaky_relu"}


# ---- writing ----

def replace(path, parts):
    """The old file stays whole until the new one is complete."""
    beside = path + ".tmp"
    try:
        with open(beside, "wb") as file:
            for part in parts:
                file.write(part)
        os.replace(beside, path)
    finally:
        if os.path.exists(beside):
            os.remove(beside)


def write_safetensors(path, tensors, metadata):
    header, data, at = {"__metadata__": {k: str(v) for k, v in metadata.items()}}, [], 0
    for name in sorted(tensors):
        raw = tensors[name].bytes()
        header[name] = {"dtype": tensors[name].dtype, "shape": list(tensors[name].shape),
                        "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    replace(path, [struct.pack("<Q", len(text)), text] + data)


def write_npy(path, tensor):
    if tensor.dtype != "F32" or len(tensor.shape) != 4:
        raise Refused("the replay buffer is %s %s, expected F32 [n,C,H,W]" % (tensor.dtype, list(tensor.shape)))
    text = ("{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (tensor.shape,)).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    replace(path, [b"\x93NUMPY\x01\x00", struct.pack("<H", len(text)), text, tensor.bytes()])


# ---- the command ----

def convert(options):
    state, buffer = parts_of(read_checkpoint(options.checkpoint))
    tensors = original_names(state)
    metadata = architecture(tensors, options.norm, buffer, options.size)
    if options.class_names:
        if len(options.class_names.split(",")) != metadata["classes"]:
            raise Refused("--class-names: %d names for %d classes"
                          % (len(options.class_names.split(",")), metadata["classes"]))
        metadata["class_names"] = options.class_names
    if options.energy == "head":
        if "energy_output.weight" not in tensors:
            raise Refused("--energy head, but there is no tensor energy_output.weight")
        metadata["energy"] = "head"
    metadata["imported_from"] = os.path.basename(options.checkpoint)
    if options.buffer and buffer is None:
        raise Refused("there is no replay_buffer to write to %s" % options.buffer)
    write_safetensors(options.model, tensors, metadata)
    print("%s: WRN-%d-%d, norm %s, %d classes, %dx%dx%d, %d tensors" % (
        options.model, metadata["depth"], metadata["widen_factor"], metadata["norm"], metadata["classes"],
        metadata["channels"], metadata["height"], metadata["width"], len(tensors)))
    if options.buffer:
        write_npy(options.buffer, buffer)
        print("%s: replay buffer of %d images" % (options.buffer, buffer.shape[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", metavar="CHECKPOINT.pt")
    parser.add_argument("model", metavar="MODEL.safetensors")
    parser.add_argument("--buffer", metavar="BUFFER.npy", help="write the replay buffer, too")
    parser.add_argument("--norm", choices=("none", "batch", "instance", "layer", "act"),
                        help="needed for instance and layer norm, which look the same")
    parser.add_argument("--size", nargs=2, type=int, metavar=("HEIGHT", "WIDTH"),
                        help="of an image; default: that of the replay buffer, else 32 32")
    parser.add_argument("--energy", choices=("logsumexp", "head"), default="logsumexp",
                        help="E(x) of the logits, or the network's energy_output (JEM's --uncond)")
    parser.add_argument("--class-names", metavar="A,B,...")
    options = parser.parse_args()
    try:
        convert(options)
    except Refused as problem:
        print("from_torch.py: %s: %s" % (options.checkpoint, problem), file=sys.stderr)
        return 1
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error,
            pickle.UnpicklingError, zipfile.BadZipFile, RecursionError, MemoryError) as problem:
        print("from_torch.py: %s: cannot read: %s: %s" % (options.checkpoint, type(problem).__name__, problem),
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
