#include "sagebuild/base/digest.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "sagebuild/base/error.hpp"

namespace sagebuild {
namespace {

std::string encoded(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  auto* out = reinterpret_cast<unsigned char*>(text.data());
  const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(out, in, static_cast<int>(bytes.size()))));
  return text;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
      throw Error(ErrorKind::bug, "OpenSSL has no SHA-256");
    }
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;

Sha256& Sha256::update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::field(std::string_view value) {
  return update(fmt::format("{}:", value.size())).update(value);
}

Digest Sha256::finish() {
  Digest digest;
  EVP_DigestFinal_ex(state_->context, digest.bytes.data(), nullptr);
  return digest;
}

std::string Digest::hex() const { return fmt::format("{:02x}", fmt::join(bytes, "")); }

std::string Digest::base64url() const {
  std::string text = encoded({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text;
}

Digest digest_from_hex(std::string_view hex) {
  Digest digest;
  bool good = hex.size() == 64;
  for (std::size_t i = 0; good && i < 32; ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    digest.bytes[i] = static_cast<std::uint8_t>((high << 4) | low);
  }
  if (!good)
    throw Error(ErrorKind::failed, fmt::format("not a SHA-256 digest: '{}'", hex.substr(0, 80)));
  return digest;
}

Digest sha256(std::string_view bytes) { return Sha256().update(bytes).finish(); }

Digest sha256_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             std::fclose);
  if (!file)
    throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", path.string()),
                {errno_text(errno)});
  Sha256 hasher;
  std::vector<char> buffer(1 << 18);
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    hasher.update({buffer.data(), count});
  }
  if (std::ferror(file.get()) != 0) {
    throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", path.string()),
                {errno_text(errno)});
  }
  return hasher.finish();
}

std::string base64(std::string_view bytes) { return encoded(bytes); }

std::string git_blob_id(std::string_view content) {
  const std::string head = fmt::format("blob {}", content.size()) + '\0';
  std::array<unsigned char, 20> id{};
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const bool ok = context != nullptr && EVP_DigestInit_ex(context, EVP_sha1(), nullptr) == 1 &&
                  EVP_DigestUpdate(context, head.data(), head.size()) == 1 &&
                  EVP_DigestUpdate(context, content.data(), content.size()) == 1 &&
                  EVP_DigestFinal_ex(context, id.data(), nullptr) == 1;
  EVP_MD_CTX_free(context);
  if (!ok) throw Error(ErrorKind::bug, "OpenSSL has no SHA-1");
  return fmt::format("{:02x}", fmt::join(id, ""));
}

}  // namespace sagebuild
