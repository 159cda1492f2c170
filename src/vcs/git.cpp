#include "git.hpp"

#include <cctype>

#include "sagebuild/base/secret.hpp"

namespace sagebuild {

void start_libgit2() {
  static const int started = git_libgit2_init();
  if (started < 0) throw Error(ErrorKind::environment, "cannot start libgit2", {git_reason()});
}

int libgit2_version() {
  int major = 0;
  int minor = 0;
  int revision = 0;
  git_libgit2_version(&major, &minor, &revision);
  return major * 10000 + minor * 100 + revision;
}

std::string git_reason() {
  const git_error* error = git_error_last();
  if (error == nullptr || error->message == nullptr || *error->message == '\0')
    return "libgit2 gives no reason";
  std::string text = redacted(error->message);
  while (text.ends_with('.') || text.ends_with('\n')) text.pop_back();
  const bool acronym = text.size() > 1 && std::isupper(static_cast<unsigned char>(text[1])) != 0;
  if (!text.empty() && !acronym)
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

std::string hex_of(const git_oid& oid) {
  std::string text(GIT_OID_HEXSZ, '0');
  git_oid_fmt(text.data(), &oid);
  return text;
}

void check_git(int code, std::string_view message) {
  if (code < 0) throw Error(ErrorKind::failed, std::string(message), {git_reason()});
}

}  // namespace sagebuild
