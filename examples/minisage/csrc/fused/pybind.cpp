#include "fused.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("quant_per_row_int8", &quant_per_row_int8);
  m.def("quant_per_channel_fp8", &quant_per_channel_fp8);
}
