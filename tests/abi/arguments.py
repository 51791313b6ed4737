#!/usr/bin/env python3
"""Writes the C test that calls every function with NULL, zero, negative, huge and
mismatched arguments: arguments.py SOURCE OUTPUT.c

Each parameter has a list of values, the first of which is good: VALUES by type and name,
OVERRIDES where a function needs something else. A parameter that is in neither ends the
build: add it. The good values together must succeed (or give the status in RESULTS), so
that the bad ones are not refused for another reason.
"""
import os
import sys

SOURCE, OUTPUT = sys.argv[1:3]
sys.path.insert(0, os.path.join(SOURCE, "examples/ffi"))
import headers  # noqa: E402

COUNTS = "0 -1 INT64_MIN INT64_MAX".split()
ENUMS = "0 -1 99 INT32_MAX INT32_MIN".split()
DOUBLES = "-1 0 1e308 -1e308 NAN INFINITY".split()
TEXTS = ["NULL", '""', '"no/such thing"', '"%s%n%d"', "long_text"]
FLOATS = "NULL nans bytes_255 huge".split()
LABELS = "NULL minus_ones huge_labels".split()

# What a parameter of this name takes, whatever the function: good value first.
VALUES = {
    **{n: ["2"] + COUNTS for n in "n n_in n_out n_a n_b d parts count steps per_class".split()},
    **{n: ["10"] + COUNTS for n in "k classes bins".split()},
    **{n: ["0"] + COUNTS + ["3"] for n in
       "first index number position step stream gap seed".split()},
    "resize": ["0"] + ENUMS, "hold": ["0"] + ENUMS,
    **{n: ["12"] + COUNTS for n in "h w height width".split()},
    **{n: ["1"] + COUNTS for n in "c columns scale".split()},
    **{n: ["2"] + COUNTS for n in "channels outputs window kernel".split()}, "pad": ["0"] + COUNTS,
    **{n: ["0"] + ENUMS for n in "in a b".split()},
    "norm": ['"batch"'] + TEXTS, "activation": ['"relu"'] + TEXTS, "pool": ['"max"'] + TEXTS,
    "probability": ["0.1"] + DOUBLES,
    "max_batch": ["2"] + COUNTS + ["INT32_MAX", "1000000"],
    **{n: ["4096"] + COUNTS + ["1"] for n in
       "capacity x_capacity y_capacity logits_capacity labels_capacity".split()}, "elements": ["ELEMENTS"] + COUNTS + ["1"],
    "stride": ["0"] + COUNTS + ["1"], "dimensions": ["2"] + COUNTS + ["9"],
    "size": ["model_size"] + COUNTS + ["7"],
    "mode": ["JEM_PASS_GRADIENT"] + ENUMS, "what": ["JEM_GRADIENT_INPUT"] + ENUMS,
    "format": ["JEM_PIXEL_GREY8"] + ENUMS, "type": ["JEM_TYPE_U8"] + ENUMS,
    "status": ["JEM_ERROR_SHAPE"] + ENUMS,
    "buffer": ["room", "NULL"],
    "key": ['"sampler.steps"'] + TEXTS, "name": ['"jem"'] + TEXTS,
    "text": ['"model.depth=16"'] + TEXTS + ['"a=b"', '"=="', '"model.depth=\\""'],
    "source": ['"glyphs:limit=200"'] + TEXTS + ['"idx:"', '"glyphs:limit=-1"', '"cifar:/dev/null"'],
    "precision": ['"f32"'] + TEXTS, "score": ['"log_px"'] + TEXTS,
    "path": ["scratch"] + TEXTS + ['"/"', '"/dev/full"'],
    "value": ["2"] + COUNTS, "rate": ["0.1"] + DOUBLES, "weight": ["1"] + DOUBLES,
    "eps": ["0.1"] + DOUBLES, "accept": ["0.5"] + DOUBLES, "low": ["0"] + DOUBLES, "high": ["1"] + DOUBLES,
    "indices": ["numbers", "NULL", "huge_numbers"], "shape": ["twos", "NULL", "huge_numbers"],
    "pixels": ["(const void *)room", "NULL"], "bytes": ["model_bytes", "NULL", "room"], "data": ["room", "NULL"],
    "labels": ["zeros"] + LABELS, "y": ["zeros"] + LABELS,
    "allocator": ["&allocator", "NULL", "&no_allocator"], "log": ["&log", "NULL", "&no_log"],
    "callbacks": ["&callbacks", "NULL", "&no_callbacks"],
}
# Of const float * and of handles.
HANDLES = {
    "jem_context": ["f.context", "NULL"], "jem_config": ["f.config", "NULL"],
    "jem_model": ["f.model", "NULL", "f.other_model"],
    "jem_dataset": ["f.data", "NULL", "f.other_data", "f.empty_data"],
    "jem_loader": ["f.loader", "NULL"], "jem_sampler": ["f.sampler", "NULL", "f.gaussian"],
    "jem_optimizer": ["f.optimizer", "NULL"], "jem_pass": ["f.pass", "NULL", "f.other_pass"],
    "jem_network": ["f.network", "NULL"], "jem_trainer": ["f.trainer", "NULL"], "jem_array": ["f.array", "NULL"],
}
BUILDERS = "convolution norm activation dropout pool mean linear add".split()
OVERRIDES = {
    # A failure stays with the network it happened to.
    **{("jem_network_" + b, "network"): ["f.scribble", "NULL"] for b in BUILDERS},
    ("jem_network_shape", "value"): ["1"] + ENUMS,
    ("jem_network_create", "height"): ["12"] + COUNTS, ("jem_network_create", "width"): ["12"] + COUNTS,
    **{("jem_network_" + b, "stride"): ["1"] + COUNTS for b in ("convolution", "pool")},
    ("jem_eval_inception", "probabilities"): ["tenths"] + FLOATS,
    ("jem_dataset_create_callbacks", "callbacks"): ["&source", "NULL", "&no_source"],
    ("jem_dataset_derive", "kind"): ['"interpolations"'] + TEXTS,
    ("jem_array_load", "path"): ["array_path"] + TEXTS + ["model_path"],
    ("jem_sampler_buffer_load", "path"): ["checkpoint_path"] + TEXTS + ["model_path"],
    ("jem_config_load", "path"): ["checkpoint_path"] + TEXTS + ["model_path"],
    ("jem_model_load", "path"): ["model_path"] + TEXTS + ["array_path"],
    ("jem_trainer_resume", "path"): ["checkpoint_path"] + TEXTS + ["model_path"],
    ("jem_config_set_f64", "key"): ['"sampler.noise"'] + TEXTS,
    ("jem_config_get_f64", "key"): ['"sampler.noise"'] + TEXTS,
    ("jem_config_set_f64", "value"): ["0.1"] + DOUBLES,
    ("jem_config_set_str", "key"): ['"sampler.start"'] + TEXTS,
    ("jem_config_get_str", "key"): ['"sampler.start"'] + TEXTS,
    ("jem_config_set_str", "value"): ['"uniform"'] + TEXTS,
    ("jem_model_metadata_get", "key"): ['"depth"'] + TEXTS,
    ("jem_model_metadata_set", "key"): ['"note"'] + TEXTS + ['"depth"'],
    ("jem_model_metadata_set", "value"): ['"kept"'] + TEXTS,
    ("jem_model_parameter_find", "name"): ['"f.conv1.bias"'] + TEXTS,
    ("jem_model_save_memory", "bytes"): ["room", "NULL"],
    ("jem_model_save_memory", "capacity"): ["ROOM", "0", "-1", "1", "INT64_MIN"],
    ("jem_eval_ece", "count"): ["integers", "NULL"],
    ("jem_model_load_memory", "size"): ["model_size", "0", "-1", "INT64_MIN", "7"],
    ("jem_optimizer_ascend", "optimizer"): ["f.sam", "NULL", "f.optimizer"],
    ("jem_optimizer_restore", "optimizer"): ["f.sam", "NULL", "f.optimizer"],
    ("jem_model_calibrate", "validation"): ["f.data", "NULL", "f.other_data", "f.empty_data"],
    ("jem_dataset_class_name", "k"): ["3"] + COUNTS + ["10"],
    ("jem_model_class_name", "k"): ["3"] + COUNTS + ["10"],
    ("jem_eval_temperature", "n"): ["3"] + COUNTS,
    ("jem_eval_temperature", "logits"): ["spread"] + FLOATS,
    ("jem_eval_temperature", "y"): ["one_wrong"] + LABELS + ["zeros"],
    ("jem_sampler_draw", "y"): ["NULL", "zeros"] + LABELS,
    ("jem_eval_ood", "out"): ["spread"] + FLOATS, ("jem_eval_roc", "out"): ["spread"] + FLOATS,
}
# What the good values give, where it is not a success.
RESULTS = {
    "jem_trainer_ema_model": "JEM_ERROR_STATE", "jem_trainer_best_model": "JEM_ERROR_STATE",
}
# Calls that a child of the handles' process may make: they read or set what is in memory.
READERS = """jem_array_ jem_config_ jem_eval_accuracy jem_eval_nll jem_eval_brier jem_eval_ece
jem_eval_ood jem_eval_roc jem_eval_threshold jem_eval_histogram jem_eval_temperature jem_loss_
jem_context_create jem_context_create_ jem_context_threads jem_context_memory jem_dataset_info jem_dataset_read
jem_loader_tell jem_loader_seek jem_model_info jem_model_precision
jem_model_parameter_ jem_model_gradient_get jem_model_gradient_map jem_optimizer_set_rate
jem_pass_set_stream jem_pass_hold_statistics jem_sampler_buffer_info jem_sampler_buffer_age jem_sampler_stats
jem_eval_frechet jem_eval_inception jem_network_
jem_trainer_progress jem_trainer_metrics jem_trainer_rollbacks jem_trainer_sampler jem_trainer_model""".split()


def values_of(api, function, p):
    base = p.type.replace("const ", "").replace("*", "").strip()
    stars = p.type.count("*")
    if (function.name, p.name) in OVERRIDES:
        return OVERRIDES[function.name, p.name]
    if base in api.handles and stars == 1:
        return HANDLES[base]
    if stars == 2:
        return ["&made_" + p.name, "NULL"]
    if p.type == "const float *":
        return ["plain"] + FLOATS
    if stars == 1 and not p.type.startswith("const ") and base in ("float", "double", "int32_t",
                                                                   "int64_t", "void"):
        return [{"float": "floats", "double": "doubles", "int32_t": "integers32",
                 "int64_t": "integers", "void": "room"}[base], "NULL"]
    if stars == 1 and api.aliases.get(base) == "int32_t":
        return ["integers32", "NULL"]
    if p.name not in VALUES:
        sys.exit(f"arguments.py: no values for {p.type} {p.name} of {function.name}: add them")
    return VALUES[p.name]


def write_function(api, f, out):
    made = [p for p in f.parameters if p.type.count("*") == 2]
    out.append(f"static void call_{f.name}(void)\n{{")
    for p in made:
        base = p.type.replace("**", "").strip()
        out.append(f"    {base} *made_{p.name} = wrong_pointer;")
    names = []
    for i, p in enumerate(f.parameters):
        values = values_of(api, f, p)
        kind = p.type + "const " if p.type.endswith("*") else "const " + p.type + " "
        out.append(f"    {kind}v{i}[] = {{{', '.join(values)}}};")
        out.append(f"    int32_t i{i} = pick({i}, COUNT(v{i}));")
        names.append(f"v{i}[i{i}]")
    call = f"{f.name}({', '.join(names)})"
    if f.result in ("jem_status", "int32_t", "int64_t"):
        out.append("    mark();")
        out.append(f"    {f.result} result = {call};")
        is_status = f.result == "jem_status"
        out.append(f"    jem_status status = {'result' if is_status else 'number_of(result)'};")
        refuse = [f"!{names[i]}" for i, p in enumerate(f.parameters)
                  if p.type.replace("const ", "").replace(" *", "") in api.handles
                  and p.type != "const jem_config *" and p.type.count("*") == 1]
        refuse += [f"!{names[i]}" for i, p in enumerate(f.parameters)
                   if p.type.count("*") == 2 and p.type.replace(" **", "") in api.handles]
        refuse += [f"{names[i]} < 0" for i, p in enumerate(f.parameters)
                   if p.name in ("n", "count", "k") and p.type == "int64_t"]
        out.append(f"    judge(\"{f.name}\", status, {RESULTS.get(f.name, 'JEM_OK')}, "
                   f"{' || '.join(refuse) or '0'});")
        for p in made:
            base = p.type.replace("**", "").strip()
            if base not in api.handles:
                continue
            at = f.parameters.index(p)
            out.append(f"    expect(\"{f.name}\", status >= 0 || i{at} || !made_{p.name}, "
                       f"\"{p.name} is not NULL after a failure\");")
            out.append(f"    if (status >= 0 && i{at} == 0) {base}_destroy(made_{p.name});")
    else:
        out.append(f"    {'' if f.result == 'void' else '(void)'}{call};")
    out.append("}\n")


def main():
    api = headers.read(os.path.join(SOURCE, "include"))
    out = []
    functions = [f for f in api.functions if f.name != "jem_last_error"]
    for f in functions:
        if f.name.endswith("_destroy"):  # only of NULL: the others are made and destroyed
            out.append(f"static void call_{f.name}(void)\n{{\n    {f.name}(NULL);\n}}\n")
        else:
            write_function(api, f, out)
    out.append("static const function functions[] = {")
    for f in functions:
        reader = any(f.name == r or (r.endswith("_") and f.name.startswith(r)) for r in READERS)
        out.append(f"    {{\"{f.name}\", call_{f.name}, {len(f.parameters)}, "
                   f"{int(reader or f.result != 'jem_status')}}},")
    out.append("};\n")
    with open(os.path.join(SOURCE, "tests/abi/arguments.c.in"), encoding="utf-8") as file:
        frame = file.read()
    with open(OUTPUT, "w", encoding="utf-8") as file:
        file.write(frame.replace("@FUNCTIONS@", "\n".join(out)))


main()
