// Any bytes as METADATA, RECORD and sagebuild.json: what is read of them is within them.

#include <cstdlib>

#include "sagebuild/verify/verify.hpp"
#include "sagebuild/wheel/reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const sagebuild::RecordLine& line : sagebuild::parse_record(text))
    if (line.name.size() > size || line.sha256.size() > size) std::abort();
  for (const char* key : {"Name", "Requires-Dist", "tag"})
    for (const std::string& value : sagebuild::metadata_fields(text, key))
      if (value.size() > size) std::abort();
  sagebuild::WheelFacts wheel;
  wheel.file = "a-1.0-py3-none-any.whl";
  wheel.name = sagebuild::parse_wheel_name(wheel.file);
  wheel.metadata = text;
  wheel.provenance = text;
  const sagebuild::Promise promise = sagebuild::promise_of(wheel, {}, std::nullopt);
  (void)sagebuild::verify_wheel(wheel, promise, sagebuild::Policy::strict);
  return 0;
}
