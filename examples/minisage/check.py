"""Compares minisage with torch's scaled_dot_product_attention on this machine's GPU. Exit status 1 when a kernel is wrong.

usage: python check.py [KERNEL...]     (default: the kernel of this GPU and each other that the wheel has code for)
"""

import sys

import torch
import torch.nn.functional as F

import minisage

# (batch, heads, query rows, keys, channels): one chunk, odd sizes, other query than key count, a long one.
SHAPES = [(1, 1, 32, 32, 64), (2, 3, 77, 77, 128), (1, 2, 5, 129, 64), (2, 8, 1024, 1024, 128)]
LOWEST_COSINE = 0.998


def compare(kernel, shape, causal):
    batch, heads, rows_q, rows_k, channels = shape
    generator = torch.Generator("cuda").manual_seed(7)
    random = lambda rows: torch.randn(batch, heads, rows, channels, generator=generator, device="cuda", dtype=torch.float16)
    q, k, v = random(rows_q), random(rows_k), random(rows_k)
    ours = minisage.attention(q, k, v, is_causal=causal, kernel=kernel).float()
    torch.cuda.synchronize()
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=causal).float()
    cosine = F.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0).item()
    largest = (ours - theirs).abs().max().item()
    good = cosine >= LOWEST_COSINE and torch.isfinite(ours).all().item()
    print(f"{kernel:9} {str(shape):26} causal={causal!s:5} cosine {cosine:.6f}  largest difference {largest:.5f}  {'ok' if good else 'WRONG'}")
    return good


def main():
    capability = torch.cuda.get_device_capability()
    best = minisage.kernel_for(capability)
    kernels = sys.argv[1:] or [best] + [name for name in ("sm80", "sm89", "sm89-f16", "sm90") if name != best]
    print(f"{torch.cuda.get_device_name()} {capability[0]}.{capability[1]}, torch {torch.__version__}, default kernel {best}")
    good = True
    for kernel in kernels:
        try:
            for shape in SHAPES:
                for causal in (False, True):
                    if causal and shape[2] != shape[3]:
                        continue
                    good &= compare(kernel, shape, causal)
        except (ImportError, RuntimeError) as error:
            must_work = kernel == best or kernel in sys.argv[1:]
            good &= not must_work
            print(f"{kernel:9} {'FAILED' if must_work else 'not for this GPU'}: {str(error).splitlines()[0]}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
