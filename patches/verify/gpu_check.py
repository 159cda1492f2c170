"""Calls one attention function of a wheel on a GPU and holds what it gives against torch's own, computed in float32 from the same inputs.

The argument is a JSON object. {"do": "device", "device": "cuda"} asks for the GPU: the answer is one line, with "error" where torch sees
none. {"do": "check", ...} has what `[[gpu_check]]` in docs/recipes.md says, and "folder", where the wheel was unpacked. It answers line by
line, so that what was done is known if a kernel ends the process:
  {"import": WORDS}                           the package cannot be imported, and nothing more comes
  {"begin": CASE}                             before each call
  {"similarity": N, "relative_l1": N}         after it; both null if there is a NaN or an infinity
  {"failure": WORDS}                          instead, and nothing more comes
  {"milliseconds": N, "sdpa_milliseconds": N} of the last case begun; null if memory is short
The device "cpu", where the tests' functions run, differs in its clock, its facts and the size of that last case alone.
"""

import importlib
import itertools
import json
import os
import statistics
import sys
import time
import warnings

import torch
import torch.nn.functional as F

ROWS, KEYS = 977, 1213  # primes, so multiples of no block
SHORT_ROWS, SHORT_KEYS = 61, 333  # the second sequence, where each has a length of its own
HEADS, GROUPS = 4, 2  # of queries; of keys where they are fewer
PIECE = 64  # rows that are compared at a time
SPEED = {"cuda": (32, 8192), "cpu": (2, 64)}  # heads and rows
WARM_UP, ROUNDS = 3, 15
# In what torch warns of where it has no code for a GPU; the words of older releases too.
UNSUPPORTED = ("which is of", "not compatible with the current PyTorch installation")


def words(error):
    return f"{type(error).__name__}: {error}"


def device_facts(device):
    facts = {"torch": torch.__version__, "cuda": torch.version.cuda or "", "name": "CPU", "capability": "0.0", "warnings": []}
    if device == "cpu":
        return facts
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            torch.cuda.init()
            facts["name"] = torch.cuda.get_device_name(0)
            facts["capability"] = "%d.%d" % torch.cuda.get_device_capability(0)
        except Exception as error:
            return {"error": words(error)}
    texts = [" ".join(str(one.message).split()) for one in said]
    facts["warnings"] = [text for text in texts if any(part in text for part in UNSUPPORTED)]
    return facts


def cases(ask):
    choices = [ask["dtypes"], ask["layouts"], [64, 128], [False, True] if ask["causal"] else [False],
               [False, True] if ask["grouped"] else [False]]
    every = list(itertools.product(*map(enumerate, choices)))
    if len(every) > 16:  # half of them still has every combination of any four of the five
        every = [chosen for chosen in every if sum(index for index, _ in chosen) % 2 == 0]
    for (_, dtype), (_, layout), (_, head_dim), (_, causal), (_, grouped) in every:
        lengths = [[ROWS, ROWS if causal else KEYS]] * 2
        if layout == "varlen":
            lengths[1] = [SHORT_ROWS, SHORT_ROWS if causal else SHORT_KEYS]
        yield {"dtype": dtype, "layout": layout, "head_dim": head_dim, "causal": causal, "heads": [HEADS, GROUPS if grouped else HEADS],
               "lengths": lengths}


def speed_case(ask):
    heads, rows = SPEED[ask["device"]]
    return {"dtype": ask["dtypes"][0], "layout": ask["layouts"][0], "head_dim": 128, "causal": False, "heads": [heads, heads],
            "lengths": [[rows, rows]]}


def inputs(case, device):
    """For each sequence q, k and v: heads, rows, channels."""
    generator = torch.Generator(device).manual_seed(7)

    def normal(heads, rows):
        return torch.randn(heads, rows, case["head_dim"], generator=generator, device=device).to(getattr(torch, case["dtype"]))
    heads, groups = case["heads"]
    return [(normal(heads, rows), normal(groups, keys), normal(groups, keys)) for rows, keys in case["lengths"]]


def caller(ask, case, function, sequences):
    """What calls the function in its layout, and what gives its result as one tensor per sequence."""
    arguments = dict(ask["arguments"])
    if ask["causal"]:
        arguments[ask["causal"]] = case["causal"]
    together = list(zip(*sequences))
    if case["layout"] == "varlen":
        tensors = [torch.cat(some, dim=1).transpose(0, 1).contiguous() for some in together]
        lengths = list(zip(*case["lengths"]))
        ends = [torch.tensor([0, *itertools.accumulate(some)], dtype=torch.int32, device=ask["device"]) for some in lengths]
        return (lambda: function(*tensors, *ends, *map(max, lengths), **arguments),
                lambda result: result.transpose(0, 1).split(lengths[0], dim=1))
    if len(ask["layouts"]) > 1:
        arguments["tensor_layout"] = case["layout"]
    tensors = [torch.stack(some) for some in together]
    if case["layout"] == "HND":
        return lambda: function(*tensors, **arguments), lambda result: result.unbind()
    tensors = [tensor.transpose(1, 2).contiguous() for tensor in tensors]
    return lambda: function(*tensors, **arguments), lambda result: result.transpose(1, 2).unbind()


def reference(case, q, k, v):
    times = case["heads"][0] // case["heads"][1]
    k, v = (tensor.repeat_interleave(times, dim=0) for tensor in (k, v))
    return F.scaled_dot_product_attention(q.float()[None], k.float()[None], v.float()[None], is_causal=case["causal"])[0]


def distance(ours, right):
    """Of the worst head and run of rows: a wrong last block must not drown in what is right."""
    similarity, relative = 1.0, 0.0
    for one, other in zip(ours.float().split(PIECE, dim=1), right.split(PIECE, dim=1)):
        one, other = one.flatten(1), other.flatten(1)
        similarity = min(similarity, F.cosine_similarity(one, other, dim=1).min().item())
        relative = max(relative, ((one - other).abs().sum(1) / other.abs().sum(1)).max().item())
    return similarity, relative


def called(device, call):
    result = call()
    if device == "cuda":
        torch.cuda.synchronize()  # or a failure would be told at a later call
    return result[0] if isinstance(result, tuple) else result


def compared(ask, case, function):
    sequences = inputs(case, ask["device"])
    call, parts = caller(ask, case, function, sequences)
    result = called(ask["device"], call)
    if not torch.isfinite(result).all():
        return {"similarity": None, "relative_l1": None}
    ours = parts(result)
    right = [reference(case, *sequence) for sequence in sequences]
    if [one.shape for one in ours] != [one.shape for one in right]:
        raise ValueError(f"its result has the shape {tuple(result.shape)}")
    similarity, relative = zip(*map(distance, ours, right))
    return {"similarity": min(similarity), "relative_l1": max(relative)}


def milliseconds(device, call):
    times = []
    for turn in range(WARM_UP + ROUNDS):
        if device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            end.synchronize()
            took = begin.elapsed_time(end)
        else:
            begin = time.perf_counter()
            call()
            took = (time.perf_counter() - begin) * 1000
        if turn >= WARM_UP:
            times.append(took)
    return statistics.median(times)


def speed(ask, case, function):
    sequences = inputs(case, ask["device"])
    call, _ = caller(ask, case, function, sequences)
    q, k, v = (torch.stack(some) for some in zip(*sequences))
    return {"milliseconds": milliseconds(ask["device"], call),
            "sdpa_milliseconds": milliseconds(ask["device"], lambda: F.scaled_dot_product_attention(q, k, v))}


def check(ask, say):
    sys.path.insert(0, ask["folder"])
    package, _, name = ask["function"].rpartition(".")
    try:
        package = importlib.import_module(package)
    except BaseException as error:
        say({"import": words(error)})
        return
    try:
        function = getattr(package, name)
        for case in cases(ask):
            say({"begin": case})
            say(compared(ask, case, function))
        case = speed_case(ask)
        say({"begin": case})
        try:
            say(speed(ask, case, function))
        except torch.cuda.OutOfMemoryError:  # somebody else has the memory
            say({"milliseconds": None, "sdpa_milliseconds": None})
    except BaseException as error:
        say({"failure": words(error)})


def main():
    # What a package prints is no answer.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()
    ask = json.loads(sys.argv[1])
    if ask["do"] == "device":
        say(device_facts(ask["device"]))
    else:
        check(ask, say)
    # Not what its destructors do at the end.
    os._exit(0)


if __name__ == "__main__":
    main()
