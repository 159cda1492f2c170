"""minisage: attention with int8 scores and fp16 or FP8 values, in the shape of SageAttention. Slow and correct."""

from .core import attention, kernel_for

__version__ = "0.1.0"
__all__ = ["attention", "kernel_for"]
