#include "attn_sm90.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("qk_int8_sv_f8_hopper_attn", &qk_int8_sv_f8_hopper_attn); }
