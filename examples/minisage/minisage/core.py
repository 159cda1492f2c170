import importlib

import torch

from . import _fused  # on every GPU: all kernels need its quantisation

_KERNELS = {
    "sm80": ("minisage._qattn_sm80", "qk_int8_sv_f16_attn"),
    "sm89": ("minisage._qattn_sm89", "qk_int8_sv_f8_accum_f32_attn"),
    "sm89-f16": ("minisage._qattn_sm89", "qk_int8_sv_f8_accum_f16_attn"),
    "sm90": ("minisage._qattn_sm90", "qk_int8_sv_f8_hopper_attn"),
}


def kernel_for(capability):
    """The kernel that a GPU of this compute capability, a pair such as (8, 9), uses."""
    if capability < (8, 0):
        raise RuntimeError("minisage needs compute capability 8.0 or newer, this GPU has %d.%d" % capability)
    if capability < (8, 9):
        return "sm80"
    return "sm90" if capability[0] == 9 else "sm89"


def attention(q, k, v, is_causal=False, scale=None, kernel=None):
    """softmax(q @ k.T * scale) @ v for float16 CUDA tensors of shape [batch, heads, rows, 64 or 128].

    A causal mask starts at the first row and the first key. `kernel` names one of sm80, sm89, sm89-f16, sm90; the default fits
    the tensor's GPU.
    """
    kernel = kernel or kernel_for(torch.cuda.get_device_capability(q.device))
    module, function = _KERNELS[kernel]
    run = getattr(importlib.import_module(module), function)  # a missing module's own error says more than ours could
    scale = q.size(-1) ** -0.5 if scale is None else scale
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    with torch.cuda.device(q.device):
        stream = torch.cuda.current_stream().cuda_stream
        values = (v,) if kernel == "sm80" else _fused.quant_per_channel_fp8(v)
        return run(*_fused.quant_per_row_int8(q), *_fused.quant_per_row_int8(k), *values, is_causal, scale, stream)
