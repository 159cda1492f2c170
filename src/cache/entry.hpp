#pragma once
// What stands under /ac/KEY: a sealed text. The seal is a first line with the SHA-256 of the rest,
// so that any flipped bit and any missing byte is seen, also after a remote cache has had it in its
// hands.

#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/model/action_cache.hpp"

namespace sagebuild {

std::string sealed(std::string_view body);
// The body, or nothing if the text is damaged.
std::optional<std::string> unsealed(std::string_view text);

// Bodies. The key is written into them: an entry that lies under another name is damaged too.
std::string result_body(const Digest& key, const ActionResult& result);
std::optional<ActionResult> result_from_body(const Digest& key, std::string_view body);

// The form that goes to a remote cache: an ActionResult of Bazel's remote execution API (protocol
// buffers) which lists the output files and holds the sealed text as stdout_raw. So a server that
// validates entries (bazel-remote by default) takes it, and answers 404 once one of the files is
// gone. build/bazel/remote/execution/v2/remote_execution.proto
std::string wire_form(const ActionResult& result, std::string_view sealed_text);
// The sealed text, or nothing. Servers may reorder fields and add their own.
std::optional<std::string> from_wire(std::string_view bytes);

}  // namespace sagebuild
