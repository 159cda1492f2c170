#include "cache/entry.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

constexpr std::string_view kSeal = "sagebuild-entry 1 ";
constexpr std::size_t kHexLength = 64;

// Field numbers of remote_execution.proto.
constexpr unsigned kOutputFiles = 2, kStdoutRaw = 5;               // ActionResult
constexpr unsigned kPath = 1, kFileDigest = 2, kIsExecutable = 4;  // OutputFile
constexpr unsigned kHash = 1, kSizeBytes = 2;                      // Digest
// Wire types: https://protobuf.dev/programming-guides/encoding
constexpr unsigned kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
  out += static_cast<char>(value);
}

void put_number(std::string& out, unsigned field, std::uint64_t value) {
  put_varint(out, field << 3 | kVarint);
  put_varint(out, value);
}

void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_varint(out, field << 3 | kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

std::optional<std::uint64_t> take_varint(std::string_view& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(in.front());
    in.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// The value of one field, cut off `in`. Numbers come as an empty view. Nothing: not protocol
// buffers.
std::optional<std::string_view> take_value(std::string_view& in, std::uint64_t wire_type) {
  std::uint64_t length = 0;
  if (wire_type == kVarint)
    return take_varint(in) ? std::optional(std::string_view()) : std::nullopt;
  if (wire_type == kBytes) {
    const auto stated = take_varint(in);
    if (!stated) return std::nullopt;
    length = *stated;
  } else if (wire_type == kFixed64 || wire_type == kFixed32) {
    length = wire_type == kFixed64 ? 8 : 4;
  } else {
    return std::nullopt;
  }
  if (length > in.size()) return std::nullopt;
  const std::string_view value = in.substr(0, length);
  in.remove_prefix(length);
  return value;
}

}  // namespace

std::string sealed(std::string_view body) {
  return fmt::format("{}{}\n{}", kSeal, sha256(body).hex(), body);
}

std::optional<std::string> unsealed(std::string_view text) {
  if (!take_prefix(text, kSeal) || text.size() <= kHexLength || text[kHexLength] != '\n')
    return std::nullopt;
  const std::string_view body = text.substr(kHexLength + 1);
  if (sha256(body).hex() != text.substr(0, kHexLength)) return std::nullopt;
  return std::string(body);
}

std::string result_body(const Digest& key, const ActionResult& result) {
  json files = json::object();
  for (const auto& [name, file] : result.files) {
    files[name] = {
        {"digest", file.digest.hex()}, {"size", file.size}, {"executable", file.executable}};
  }
  const json body = {{"key", key.hex()},
                     {"files", files},
                     {"facts", result.facts},
                     {"output", result.output},
                     {"diagnostics", result.diagnostics},
                     {"cpu_seconds", result.cpu_seconds},
                     {"wall_seconds", result.wall_seconds},
                     {"peak_memory", result.peak_memory}};
  // A compiler may print bytes that are no UTF-8; JSON cannot hold them.
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<ActionResult> result_from_body(const Digest& key, std::string_view body) {
  try {
    const json value = json::parse(body);
    if (value.at("key").get<std::string>() != key.hex()) return std::nullopt;
    ActionResult result;
    for (const auto& [name, file] : value.at("files").items()) {
      result.files[name] = {digest_from_hex(file.at("digest").get<std::string>()),
                            file.at("size").get<std::uint64_t>(),
                            file.at("executable").get<bool>()};
    }
    result.facts = value.at("facts").get<std::map<std::string, std::string>>();
    result.output = value.at("output").get<std::string>();
    result.diagnostics = value.at("diagnostics").get<std::string>();
    result.cpu_seconds = value.at("cpu_seconds").get<double>();
    result.wall_seconds = value.at("wall_seconds").get<double>();
    result.peak_memory = value.at("peak_memory").get<std::uint64_t>();
    return result;
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string wire_form(const ActionResult& result, std::string_view sealed_text) {
  std::string out;
  for (const auto& [name, file] : result.files) {
    std::string digest, output;
    put_bytes(digest, kHash, file.digest.hex());
    put_number(digest, kSizeBytes, file.size);
    put_bytes(output, kPath, name);
    put_bytes(output, kFileDigest, digest);
    if (file.executable) put_number(output, kIsExecutable, 1);
    put_bytes(out, kOutputFiles, output);
  }
  put_bytes(out, kStdoutRaw, sealed_text);
  return out;
}

std::optional<std::string> from_wire(std::string_view bytes) {
  std::optional<std::string> found;
  while (!bytes.empty()) {
    const auto tag = take_varint(bytes);
    if (!tag) return std::nullopt;
    const auto value = take_value(bytes, *tag & 7);
    if (!value) return std::nullopt;
    if (*tag == (kStdoutRaw << 3 | kBytes)) found = std::string(*value);
  }
  return found;
}

}  // namespace sagebuild
