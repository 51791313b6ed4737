#!/usr/bin/env python3
"""Halves a model file: float32 tensors to float16. usage: to_half.py IN OUT

The checksum entry is dropped, since it is of the float32 bytes."""
import json, struct, sys

data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header, data = json.loads(data[8:8 + size]), data[8 + size:]
header.get("__metadata__", {}).pop("checksum", None)
out = b""
for name, tensor in header.items():
    if name == "__metadata__":
        continue
    first, end = tensor["data_offsets"]
    values = data[first:end]
    if tensor["dtype"] == "F32":
        count = len(values) // 4
        values = struct.pack(f"<{count}e", *struct.unpack(f"<{count}f", values))
        tensor["dtype"] = "F16"
    tensor["data_offsets"] = [len(out), len(out) + len(values)]
    out += values
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + out)
