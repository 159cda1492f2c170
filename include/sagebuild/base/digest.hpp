#pragma once
// SHA-256 (OpenSSL's EVP), the one digest of cache keys, RECORD and the Hub.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace sagebuild {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  std::string hex() const;        // 64 lower-case digits
  std::string base64url() const;  // without padding, as RECORD wants it
  auto operator<=>(const Digest&) const = default;
};

// Reads 64 hex digits. Throws Error{failed} for anything else.
Digest digest_from_hex(std::string_view hex);

// Takes bytes in pieces. `field` adds a length-prefixed value, so that ("ab","c") and ("a","bc")
// differ: use it for keys.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(std::string_view bytes);
  Sha256& field(std::string_view value);
  Digest finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::string_view bytes);
// Streams the file. Throws Error{failed} if it cannot be read.
Digest sha256_file(const std::filesystem::path& path);

std::string base64(std::string_view bytes);  // with padding (RFC 4648)

// git's name of a file's content: SHA-1 over "blob SIZE\0CONTENT", 40 hex digits. An identity, not
// a protection.
std::string git_blob_id(std::string_view content);

}  // namespace sagebuild
