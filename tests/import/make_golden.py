#!/usr/bin/env python3
"""Writes golden.pt, a checkpoint in JEM++'s layout that torch made, and golden.json, the logits of its replay buffer.

usage: /usr/bin/python3 make_golden.py   (needs torch; the same numbers every time)
"""
import json
import os

import torch
from layouts import CCF

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(11)
torch.set_num_threads(1)
model = CCF("jempp", channels=1, norm="batch", classes=3).eval()
model.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in model.state_dict().items()})
buffer = torch.empty(5, 1, 12, 14).uniform_(-1, 1)
with torch.no_grad():
    logits = model(buffer)
half = model.state_dict()
done = {}
for name, value in half.items():  # names of the same tensor go on sharing it
    if value.is_floating_point():
        half[name] = done.setdefault(value.data_ptr(), value.half())
torch.save({"model_state_dict": half, "replay_buffer": buffer}, os.path.join(here, "golden.pt"))
with open(os.path.join(here, "golden.json"), "w") as file:
    json.dump({"logits": logits.tolist()}, file)
    file.write("\n")
