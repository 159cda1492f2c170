"""Calls one attention function of a wheel on a GPU and holds what it gives against torch's own, computed in float32 from the same inputs.

The argument is a JSON object. {"do": "device", "device": "cuda"} asks for the GPU: the answer is one line, with "error" where torch sees
none. {"do": "check", ...} has what `[[gpu_check]]` in docs/recipes.md says, and "folder", where the wheel was unpacked. It answers line by
line, so that what was done is known if a kernel ends the process:
  {"import": WORDS}                           the package cannot be imported, and nothing more comes
  {"begin": CASE}                             before each call
  {"similarity": N, "relative_l1": N}         after it; both null if there is a NaN or an infinity, or one comes of the comparison
  {"failure": WORDS}                          instead, and nothing more comes
  {"milliseconds": N, "sdpa_milliseconds": N} of the last case begun; null if memory is short
What torch gives, and how long it takes, is known before the package is imported, which may change what torch does: its precision, or
the very function that it is compared with. The device "cpu", where the tests' functions run, differs in its clock, its facts and the size
of that last case alone.
"""

import importlib
import importlib.metadata
import itertools
import json
import math
import os
import re
import statistics
import sys
import time
import warnings

import torch
# What a package might put in the place of torch's own.
from torch import cat, isfinite, stack
from torch.nn.functional import cosine_similarity, scaled_dot_product_attention

ROWS, KEYS = 977, 1213  # primes, so multiples of no block
SHORT_ROWS, SHORT_KEYS = 61, 333  # the second sequence, where each has a length of its own
HEADS, GROUPS = 4, 2  # of queries; of keys where they are fewer
PIECE = 64  # rows that are compared at a time
SPEED = {"cuda": (32, 8192), "cpu": (2, 64)}  # heads and rows
WARM_UP, ROUNDS = 3, 15
# In what torch warns of where it has no code for a GPU; the words of older releases too.
UNSUPPORTED = ("which is of", "not compatible with the current PyTorch installation")
LONGEST = 400  # characters of an error: some hold whole sources


def plain(text):
    """As UTF-8 can hold it: a path in an error need not."""
    return text.encode("utf-8", "replace").decode()


def words(error):
    text = plain(f"{type(error).__name__}: {error}")
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


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
    texts = [" ".join(plain(str(one.message)).split()) for one in said]
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
        tensors = [cat(some, dim=1).transpose(0, 1).contiguous() for some in together]
        lengths = list(zip(*case["lengths"]))
        ends = [torch.tensor([0, *itertools.accumulate(some)], dtype=torch.int32, device=ask["device"]) for some in lengths]
        return (lambda: function(*tensors, *ends, *map(max, lengths), **arguments),
                lambda result: result.transpose(0, 1).split(lengths[0], dim=1))
    if len(ask["layouts"]) > 1:
        arguments["tensor_layout"] = case["layout"]
    tensors = [stack(some) for some in together]
    if case["layout"] == "HND":
        return lambda: function(*tensors, **arguments), lambda result: result.unbind()
    tensors = [tensor.transpose(1, 2).contiguous() for tensor in tensors]
    return lambda: function(*tensors, **arguments), lambda result: result.transpose(1, 2).unbind()


def reference(case, q, k, v):
    times = case["heads"][0] // case["heads"][1]
    k, v = (tensor.repeat_interleave(times, dim=0) for tensor in (k, v))
    return scaled_dot_product_attention(q.float()[None], k.float()[None], v.float()[None], is_causal=case["causal"])[0]


def distances(ours, right):
    """Of the worst head of each run of rows: a wrong last block must not drown in what is right."""
    for one, other in zip(ours.float().split(PIECE, dim=1), right.split(PIECE, dim=1)):
        one, other = one.flatten(1), other.flatten(1)
        yield cosine_similarity(one, other, dim=1).min().item(), ((one - other).abs().sum(1) / other.abs().sum(1)).max().item()


def called(device, call):
    result = call()
    if device == "cuda":
        torch.cuda.synchronize()  # or a failure would be told at a later call
    return result[0] if isinstance(result, tuple) else result


def compared(ask, case, function, sequences, right):
    call, parts = caller(ask, case, function, sequences)
    result = called(ask["device"], call)
    if not isfinite(result).all():
        return {"similarity": None, "relative_l1": None}
    ours = parts(result)
    if [one.shape for one in ours] != [one.shape for one in right]:
        raise ValueError(f"its result has the shape {tuple(result.shape)}")
    similarity, relative = zip(*itertools.chain(*map(distances, ours, right)))
    if not all(map(math.isfinite, similarity + relative)):  # min and max of Python pass over a NaN
        return {"similarity": None, "relative_l1": None}
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


def unless_short(call):
    """Nothing where somebody else has the memory."""
    try:
        return call()
    except torch.cuda.OutOfMemoryError:
        return None


def speed_of_torch(ask, case):
    q, k, v = (stack(some) for some in zip(*inputs(case, ask["device"])))
    return milliseconds(ask["device"], lambda: scaled_dot_product_attention(q, k, v))


def speed(ask, case, function):
    call, _ = caller(ask, case, function, inputs(case, ask["device"]))
    return milliseconds(ask["device"], call)


def name_of(distribution):
    try:
        return re.sub("[-_.]+", "-", distribution.metadata["Name"]).lower()
    except Exception:  # what is left of one that was removed
        return None


def require_of_wheel(package, folder):
    """No module of the package, nor one of another installation of the wheel, may come from elsewhere."""
    names = {name_of(one) for one in importlib.metadata.distributions(path=[folder])} - {None}
    others = {str(one.locate_file(file)) for one in importlib.metadata.distributions() if name_of(one) in names
              for file in one.files or ()}
    top = package.partition(".")[0]
    for name, module in sorted(sys.modules.items()):
        file = str(getattr(module, "__file__", None) or "")
        is_theirs = name.partition(".")[0] == top or file in others
        if file and is_theirs and not file.startswith(os.path.join(folder, "")):
            raise ImportError(f"{name} is that of {file}, not the wheel's")


def check(ask, say):
    kind, whose = "failure", "torch itself: "
    try:
        asked = [(case, inputs(case, ask["device"])) for case in cases(ask)]
        asked = [(case, sequences, [reference(case, *sequence) for sequence in sequences]) for case, sequences in asked]
        last = speed_case(ask)
        sdpa = unless_short(lambda: speed_of_torch(ask, last))
        package, _, name = ask["function"].rpartition(".")
        kind, whose = "import", ""
        sys.path.insert(0, ask["folder"])
        module = importlib.import_module(package)
        require_of_wheel(package, ask["folder"])
        kind = "failure"
        function = getattr(module, name)
        for case, sequences, right in asked:
            say({"begin": case})
            say(compared(ask, case, function, sequences, right))
        require_of_wheel(package, ask["folder"])  # a call may have imported more
        say({"begin": last})
        took = unless_short(lambda: speed(ask, last, function))
        say({"milliseconds": took, "sdpa_milliseconds": sdpa})
    except BaseException as error:
        say({kind: whose + words(error)})


def main():
    # What a package prints is no answer.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(answer):
        out.write(json.dumps(answer, allow_nan=False) + "\n")
        out.flush()
    own = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != own]
    ask = json.loads(sys.argv[1])
    if ask["do"] == "device":
        say(device_facts(ask["device"]))
    else:
        check(ask, say)
    # Not what its destructors do at the end.
    os._exit(0)


if __name__ == "__main__":
    main()
