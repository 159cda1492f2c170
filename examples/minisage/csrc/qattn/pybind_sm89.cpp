#include "attn_sm89.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("qk_int8_sv_f8_accum_f32_attn", &qk_int8_sv_f8_accum_f32_attn);
  m.def("qk_int8_sv_f8_accum_f16_attn", &qk_int8_sv_f8_accum_f16_attn);
}
