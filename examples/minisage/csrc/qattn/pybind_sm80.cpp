#include "attn_sm80.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("qk_int8_sv_f16_attn", &qk_int8_sv_f16_attn); }
